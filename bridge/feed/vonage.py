"""Callbacks as Vonage's session monitoring, SIP monitoring and archive callbacks have them.

The PBX's name is the project, a call a session, a channel a connection, its audio in an Asterisk bridge a stream, a
section an archive; a dialled channel is a SIP call of its connection. Bodies as in Vonage's guides: "Session
monitoring", "SIP Interconnect" (Monitoring SIP call activity), "Archiving" (Archive status changes). All is audio, so
that a stream has no `videoType` and an archive no `resolution`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from bridge.core.cdrs import recording_uuid
from bridge.core.channel_ends import Why
from bridge.core.channel_facts import Progress
from bridge.core.ids import SectionKey
from bridge.core.records import Fact, FactKind, NumberedFact, SectionState
from bridge.core.views import epoch_ms
from bridge.core.webhooks import Callback

Json = dict[str, Any]

_NAMESPACE = UUID("6c3a6f0e-0d1c-5b7a-9c55-4d0f5a7e2b91")

_CONNECTION_REASONS = {
    Why.HUNG_UP: "clientDisconnected",
    Why.FORCED: "forceDisconnected",
    Why.NETWORK: "networkDisconnected",
}
_STREAM_REASONS = _CONNECTION_REASONS | {Why.MOVED: "forceUnpublished", Why.LEFT: "mediaStopped"}
_CALL_STATES = {
    Progress.DIALING: "DIALING",
    Progress.RINGING: "RINGING",
    Progress.ACTIVE: "ACTIVE",
    Progress.ON_HOLD: "ON_HOLD",
    Progress.HUNG_UP: "HANGUP",
}
_ARCHIVE_STATUS = {
    FactKind.SECTION_RECORDING: "started",
    FactKind.SECTION_PAUSED: "paused",
    FactKind.SECTION_CLOSED: "stopped",
    FactKind.SECTION_STORED: "available",
    FactKind.SECTION_FAILED: "failed",
    FactKind.SECTION_LOST: "failed",
    FactKind.SECTION_DELETED: "expired",
}


class Vonage:
    """The format `vonage`. `base_url` is where our API is reached, for links to audio."""

    NAMES: Sequence[str] = (
        "connectionCreated",
        "connectionDestroyed",
        "streamCreated",
        "streamDestroyed",
        "callCreated",
        "callUpdated",
        "callDestroyed",
        *dict.fromkeys(f"archive.{status}" for status in _ARCHIVE_STATUS.values()),
    )

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def bodies(self, fact: NumberedFact, project_id: str) -> Sequence[Callback]:
        """What a fact is to Vonage's clients: up to two bodies, all of them the call's, in order."""
        one = fact.fact
        match one.kind:
            case FactKind.CHANNEL_BEGAN:
                return [_session(one, project_id, "connectionCreated", connection=_connection(one, project_id))]
            case FactKind.CHANNEL_ENDED:
                more = {"reason": _CONNECTION_REASONS[Why(one.data["reason"])]}
                return [_session(one, project_id, "connectionDestroyed", more, connection=_connection(one, project_id))]
            case FactKind.CHANNEL_JOINED:
                return [_session(one, project_id, "streamCreated", stream=_stream(one, project_id))]
            case FactKind.CHANNEL_LEFT:
                more = {"reason": _STREAM_REASONS[Why(one.data["reason"])]}
                return [_session(one, project_id, "streamDestroyed", more, stream=_stream(one, project_id))]
            case FactKind.CHANNEL_PROGRESS:
                return _progress(one, project_id)
            case _:
                return self._archive(one, project_id)

    def _archive(self, fact: Fact, project_id: str) -> Sequence[Callback]:
        status, data = _ARCHIVE_STATUS.get(fact.kind), fact.data
        if status is None or fact.record_id is None or fact.rule_id is None or fact.file is None:
            return []
        if status == "expired" and data["state"] != SectionState.STORED:
            return []  # there was nothing to be had
        place = f"{fact.record_id}/{fact.rule_id}/{fact.file}"
        requested_at = datetime.fromisoformat(data["requested_at"]) if "requested_at" in data else fact.at
        ran_s = max(0.0, (fact.at - requested_at).total_seconds())
        body = {
            "id": str(recording_uuid(SectionKey(fact.record_id, fact.rule_id, fact.file))),
            "event": "archive",
            "createdAt": round(requested_at.timestamp()) * 1000,
            "duration": round(ran_s if status == "stopped" else data.get("duration_s") or 0.0),
            "name": place,
            "partnerId": project_id,
            "projectId": project_id,
            "reason": data.get("reason") or "",
            "sessionId": fact.call_id or "",
            "size": data.get("size_bytes") or data.get("size") or 0,
            "status": status,
            "url": f"{self._base_url}/api/v1/records/{place}" if status == "available" else None,
        }
        return [Callback(fact.call_id or "", f"archive.{status}", body, archive=True)]


def _session(fact: Fact, project_id: str, event: str, more: Mapping[str, str] | None = None, **what: Json) -> Callback:
    body = {
        "sessionId": fact.call_id or "",
        "projectId": project_id,
        "event": event,
        **(more or {}),
        "timestamp": epoch_ms(fact.at),
        **what,
    }
    return Callback(fact.call_id or "", event, body)


def _id(*parts: str) -> str:
    return str(uuid5(_NAMESPACE, "/".join(parts)))


def _ms(text: str) -> int:
    return epoch_ms(datetime.fromisoformat(text))


def _connection(fact: Fact, project_id: str) -> Json:
    """`data` is what a client's token carries at Vonage: here JSON text that says who it is."""
    data, personal = fact.data, fact.personal
    who = {
        "channel": data["channel"],
        "uniqueid": data["uniqueid"],
        "identity": personal.get("identity", ""),
        "name": personal.get("name", ""),
        "number": personal.get("number", ""),
    }
    return {
        "id": _id(project_id, data["uniqueid"]),
        "createdAt": _ms(data["began"]),
        "data": json.dumps(who, ensure_ascii=False),
    }


def _stream(fact: Fact, project_id: str) -> Json:
    data = fact.data
    return {
        "id": _id(project_id, data["uniqueid"], data["bridge"], data["joined"]),
        "connection": _connection(fact, project_id),
        "createdAt": _ms(data["joined"]),
        "name": fact.personal.get("name", ""),
    }


def _progress(fact: Fact, project_id: str) -> list[Callback]:
    data = fact.data
    state = Progress(data["state"])
    call = {
        "id": _id(project_id, data["uniqueid"], "call", data["dialed_at"]),
        "connectionId": _id(project_id, data["uniqueid"]),
        "createdAt": _ms(data["dialed_at"]),
    }
    found = [_session(fact, project_id, "callUpdated", {"state": _CALL_STATES[state]}, call=call)]
    if data["first"]:
        found.insert(0, _session(fact, project_id, "callCreated", call=call))
    if state is Progress.HUNG_UP:
        why = {"reason_code": str(data["code"]), "reason_message": data["message"]}
        found.append(_session(fact, project_id, "callDestroyed", why, call=call))
    return found
