"""A finished call as Wazo's JSON has it: every field is always there, null where nothing is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bridge.api.wazo.user_ids import Users
from bridge.core.access import Reader
from bridge.core.cdrs import KeptCdr, recording_name, recording_uuid
from bridge.core.ids import Identity
from bridge.core.records import Cdr, Section
from bridge.core.views import sees_section


@dataclass(frozen=True, slots=True)
class CdrView:
    """Finished calls for one reader. We know no lines: their ids are null."""

    reader: Reader
    users: Users
    tenant_uuid: UUID

    def recordings(self, kept: KeptCdr) -> Sequence[Section]:
        """Those that the reader may see."""
        return [section for section in kept.sections if sees_section(section, self.reader)]

    def item(self, kept: KeptCdr) -> dict[str, Any]:
        """The whole of it."""
        cdr, recordings = kept.cdr, self.recordings(kept)
        return {
            "id": kept.number,
            "tenant_uuid": str(self.tenant_uuid),
            "start": _iso(cdr.started_at),
            "end": _iso(cdr.ended_at),
            "answered": cdr.answered_at is not None,
            "answer": _iso(cdr.answered_at),
            "duration": _duration_s(cdr),
            "call_direction": cdr.direction,
            "call_status": str(cdr.status),
            "conversation_id": cdr.call_id,
            **self._destination(cdr),
            **self._requested(cdr),
            **self._source(cdr),
            "tags": list(dict.fromkeys(tag for section in recordings for tag in section.tags)),
            "recordings": [recording_item(kept, section) for section in recordings],
        }

    def _destination(self, cdr: Cdr) -> dict[str, Any]:
        identity = cdr.destination_identity
        inside = identity is not None
        return {
            "destination_extension": cdr.destination_number or None,
            "destination_internal_context": (cdr.destination_context or None) if inside else None,
            "destination_internal_extension": self._extension(identity, cdr.destination_number),
            "destination_line_id": None,
            "destination_name": cdr.destination_name or None,
            "destination_user_uuid": self._uuid(identity),
        }

    def _requested(self, cdr: Cdr) -> dict[str, Any]:
        user = self.users.with_extension(cdr.dialed) if cdr.dialed else None
        identity = user.identity if user is not None else None
        name = user.name if user is not None else ""
        if identity is None and cdr.dialed and cdr.dialed == cdr.destination_number:
            identity, name = cdr.destination_identity, cdr.destination_name
        inside = cdr.dialed != "" and (identity is not None or cdr.direction == "internal")
        return {
            "requested_name": name or cdr.queue or None,
            "requested_context": cdr.context or None,
            "requested_extension": cdr.dialed or None,
            "requested_internal_context": (cdr.context or None) if inside else None,
            "requested_internal_extension": cdr.dialed if inside else None,
            "requested_user_uuid": self._uuid(identity),
        }

    def _source(self, cdr: Cdr) -> dict[str, Any]:
        identity = cdr.source_identity
        inside = identity is not None
        return {
            "source_extension": cdr.source_number or None,
            "source_internal_context": (cdr.context or None) if inside else None,
            "source_internal_extension": self._extension(identity, cdr.source_number),
            "source_internal_name": (self.users.known(identity).name or None) if identity is not None else None,
            "source_line_id": None,
            "source_name": cdr.source_name or None,
            "source_user_uuid": self._uuid(identity),
        }

    def _uuid(self, identity: Identity | None) -> str | None:
        return None if identity is None else self.users.uuid(identity)

    def _extension(self, identity: Identity | None, number: str) -> str | None:
        if identity is None:
            return None
        own = self.users.known(identity).extensions
        return (number if number in own else own[0]) if own else number or None


def recording_item(kept: KeptCdr, section: Section) -> dict[str, Any]:
    """A section as one of a call's recordings."""
    return {
        "uuid": str(recording_uuid(section.key)),
        "start_time": _iso(section.started_at or section.requested_at),
        "end_time": _iso(section.ended_at),
        "deleted": section.deleted_at is not None,
        "filename": recording_name(kept.number, section),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _duration_s(cdr: Cdr) -> int | None:
    """Whole seconds from the answer to the end."""
    return None if cdr.answered_at is None else max(0, int((cdr.ended_at - cdr.answered_at).total_seconds()))
