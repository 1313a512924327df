"""What is kept, as rows, and back."""

import json
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from bridge.core import chain
from bridge.core.access import Role, Scope, Token
from bridge.core.cdrs import recording_uuid
from bridge.core.ids import CallId, ChannelName, FactNumber, Identity, RecordId, RuleId, SectionKey, TalkId, Uniqueid
from bridge.core.records import (
    AudioReport,
    Cdr,
    Fact,
    FactKind,
    JournalEntry,
    JournalResult,
    NumberedEntry,
    NumberedFact,
    Section,
    SectionState,
    SectionType,
)
from bridge.storage.folding import found_by
from bridge.storage.values import Row, bytes_of, json_in, text_in, texts_in, time_in, time_out

_ENTRY_FIELDS = tuple(one.name for one in fields(JournalEntry))
_CDR_FIELDS = tuple(one.name for one in fields(Cdr) if one.name not in ("record_ids", "participants"))


def _time_or_none(value: int | None) -> datetime | None:
    return None if value is None else time_out(value)


def fact_row(fact: Fact, systemname: str) -> Row:
    """All but the number."""
    return texts_in(
        {
            "systemname": systemname,
            "kind": fact.kind.value,
            "at": time_in(fact.at),
            "call_id": fact.call_id,
            "record_id": fact.record_id,
            "rule_id": fact.rule_id,
            "file": fact.file,
            "data": json_in(dict(fact.data)),
            "audience": json_in(fact.audience),
        }
    )


def personal_rows(fact: Fact, systemname: str) -> list[Row]:
    """One row for each personal value, all but the fact's number."""
    rows = [texts_in({"systemname": systemname, "name": name, "value": value}) for name, value in fact.personal.items()]
    for row in rows:
        salt = secrets.token_bytes(chain.SALT_BYTES)
        row["salt"] = salt
        row["digest"] = chain.personal_digest(salt, bytes_of(row["name"]), bytes_of(row["value"]))
    return rows


def chained(row: Row | sqlite3.Row) -> chain.ChainedFact:
    """A row of facts, its texts as they are bound or as bytes, for the chain."""
    return chain.ChainedFact(
        number=row["number"],
        systemname=bytes_of(row["systemname"]),
        kind=bytes_of(row["kind"]),
        at=row["at"],
        call_id=None if row["call_id"] is None else bytes_of(row["call_id"]),
        record_id=None if row["record_id"] is None else bytes_of(row["record_id"]),
        rule_id=row["rule_id"],
        file=row["file"],
        data=bytes_of(row["data"]),
        audience=bytes_of(row["audience"]),
    )


def digest_of(row: Row | sqlite3.Row) -> chain.PersonalDigest:
    """A row of fact_personal for the chain."""
    return chain.PersonalDigest(bytes_of(row["name"]), bytes_of(row["systemname"]), row["digest"])


def fact_of(row: sqlite3.Row) -> NumberedFact:
    """From a row of facts, with `personal` as a JSON object of what is not erased."""
    return NumberedFact(
        FactNumber(row["number"]),
        Fact(
            kind=FactKind(row["kind"]),
            at=time_out(row["at"]),
            call_id=row["call_id"],
            record_id=row["record_id"],
            rule_id=row["rule_id"],
            file=row["file"],
            data=json.loads(row["data"]),
            personal=json.loads(row["personal"]),
            audience=tuple(json.loads(row["audience"])),
        ),
    )


def key_row(key: SectionKey) -> Row:
    """The columns that name a section."""
    return {"record_id": text_in(key.record_id), "rule_id": key.rule_id, "file": key.file}


def section_row(section: Section, systemname: str) -> Row:
    """All but the participants and the peaks."""
    report = section.report
    return texts_in(
        {
            "systemname": systemname,
            "record_id": section.record_id,
            "rule_id": section.rule_id,
            "file": section.file,
            "call_id": section.call_id,
            "state": section.state.value,
            "type": section.type.value,
            "owner": section.owner,
            "leg": section.leg,
            "leg_channel": section.leg_channel,
            "headchannel": section.headchannel,
            "tailchannel": section.tailchannel,
            "path": section.path,
            "requested_at": time_in(section.requested_at),
            "started_at": time_in(section.started_at),
            "ended_at": time_in(section.ended_at),
            "tags": json_in(section.tags),
            "mixmonitor_id": section.mixmonitor_id,
            "reason": section.reason,
            "duration_s": report and report.duration_s,
            "size_bytes": report and report.size_bytes,
            "sample_rate_hz": report and report.sample_rate_hz,
            "channels": report and report.channels,
            "peak": report and json_in(report.peak),
            "rms": report and json_in(report.rms),
            "sha256": report and report.sha256,
            "stereo": section.stereo,
            "leg_is_left": section.leg_is_left,
            "rate_hz": section.rate_hz,
            "keep_s": section.keep_s,
            "deleted_at": time_in(section.deleted_at),
            "talk_id": section.talk_id,
            "uuid": str(recording_uuid(section.key)),
        }
    )


def _report_of(row: sqlite3.Row) -> AudioReport | None:
    if row["sha256"] is None:
        return None
    return AudioReport(
        duration_s=row["duration_s"],
        size_bytes=row["size_bytes"],
        sample_rate_hz=row["sample_rate_hz"],
        channels=row["channels"],
        peak=tuple(json.loads(row["peak"])),
        rms=tuple(json.loads(row["rms"])),
        peaks=row["peaks"] or b"",  # their row may be lost, as where `sqlite3 .recover` saved the database
        sha256=row["sha256"],
    )


def section_of(row: sqlite3.Row) -> Section:
    """From a row of sections, with `participants` as a JSON list and `peaks`."""
    return Section(
        record_id=RecordId(row["record_id"]),
        rule_id=RuleId(row["rule_id"]),
        file=row["file"],
        call_id=CallId(row["call_id"]),
        state=SectionState(row["state"]),
        type=SectionType(row["type"]),
        owner=row["owner"],
        leg=Uniqueid(row["leg"]),
        leg_channel=ChannelName(row["leg_channel"]),
        headchannel=ChannelName(row["headchannel"]),
        tailchannel=ChannelName(row["tailchannel"]),
        path=row["path"],
        requested_at=time_out(row["requested_at"]),
        started_at=_time_or_none(row["started_at"]),
        ended_at=_time_or_none(row["ended_at"]),
        participants=tuple(json.loads(row["participants"])),
        tags=tuple(json.loads(row["tags"])),
        mixmonitor_id=row["mixmonitor_id"],
        reason=row["reason"],
        report=_report_of(row),
        stereo=bool(row["stereo"]),
        leg_is_left=bool(row["leg_is_left"]),
        rate_hz=row["rate_hz"],
        keep_s=row["keep_s"],
        deleted_at=_time_or_none(row["deleted_at"]),
        talk_id=TalkId(row["talk_id"]),
    )


def entry_row(entry: JournalEntry, systemname: str) -> Row:
    """All but the id."""
    row = {name: getattr(entry, name) for name in _ENTRY_FIELDS}
    return texts_in(
        row | {"systemname": systemname, "started_at": time_in(entry.started_at), "result": entry.result.value}
    )


def entry_of(row: sqlite3.Row) -> NumberedEntry:
    """From a row of the journal."""
    found: Row = dict(row)
    number = FactNumber(found.pop("id"))
    del found["systemname"]
    found |= {
        "started_at": time_out(row["started_at"]),
        "inbound": bool(row["inbound"]),
        "internal": bool(row["internal"]),
        "result": JournalResult(row["result"]),
    }
    return NumberedEntry(number, JournalEntry(**found))


def cdr_row(cdr: Cdr, systemname: str) -> Row:
    """All but the id, the records and the participants."""
    row = {name: getattr(cdr, name) for name in _CDR_FIELDS}
    return texts_in(
        row
        | {
            "systemname": systemname,
            "started_at": time_in(cdr.started_at),
            "answered_at": time_in(cdr.answered_at),
            "ended_at": time_in(cdr.ended_at),
            "status": cdr.status.value,
            "found_by": found_by(cdr),
        }
    )


def list_rows(values: Iterable[str], systemname: str) -> list[Row]:
    """A list of texts in its order, one row each."""
    system = text_in(systemname)
    return [{"systemname": system, "position": at, "value": text_in(value)} for at, value in enumerate(values)]


def token_row(token: Token, systemname: str) -> Row:
    """A token's row."""
    return texts_in(
        {
            "id": token.id,
            "systemname": systemname,
            "secret_sha256": token.secret_sha256,
            "identity": token.identity,
            "role": token.role.value,
            "scopes": json_in(sorted(token.scopes)),
            "created_at": time_in(token.created_at),
            "expires_at": time_in(token.expires_at),
            "made_with": token.made_with,
        }
    )


def token_of(row: sqlite3.Row) -> Token:
    """From a row of tokens."""
    return Token(
        id=row["id"],
        secret_sha256=row["secret_sha256"],
        identity=Identity(row["identity"]),
        role=Role(row["role"]),
        scopes=frozenset(Scope(scope) for scope in json.loads(row["scopes"])),
        created_at=time_out(row["created_at"]),
        expires_at=_time_or_none(row["expires_at"]),
        made_with=row["made_with"],
    )
