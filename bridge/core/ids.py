"""Typed ids: what Asterisk and recbridge call things by, told apart by the type checker."""

import re
from typing import NamedTuple, NewType

Uniqueid = NewType("Uniqueid", str)
"""A channel's Uniqueid, `1795223079.12` or, with `systemname` set, `pbx1-1795223079.12`."""

Linkedid = NewType("Linkedid", str)
"""The Uniqueid of the oldest channel that a channel belongs with, as Asterisk says it."""

ChannelName = NewType("ChannelName", str)
"""A channel's name, `PJSIP/bob-00000001`."""

BridgeUniqueid = NewType("BridgeUniqueid", str)
"""An Asterisk bridge's id (a UUID)."""

CallId = NewType("CallId", str)
"""A call's name inside recbridge: the Linkedid under which it was first seen. Of two joined calls the older's stays."""

RecordId = NewType("RecordId", str)
"""`<caller's uniqueid>_<other party's uniqueid>` with `.` written `-`; see `record_id`."""

TalkId = NewType("TalkId", str)
"""Names a talk over restarts: when it began, in microseconds since 1970 UTC, `-`, and its number then."""

NO_TALK = TalkId("")
"""Where there is none."""

RuleId = NewType("RuleId", int)
Identity = NewType("Identity", str)
"""A user's name, `tweber`."""

FactNumber = NewType("FactNumber", int)
"""A fact's running number, from 1 on: the cursor of every stream."""


class SectionKey(NamedTuple):
    """Names one section: sections of one rule in one record are numbered 1, 2, …"""

    record_id: RecordId
    rule_id: RuleId
    file: int


_UNSAFE = re.compile(r"[^A-Za-z0-9-]")


def record_id(caller: Uniqueid, other: Uniqueid | None) -> RecordId:
    """The recordId of a talk between two channels; `other` is None where there is no other party.

    >>> record_id(Uniqueid("1392385689.178"), Uniqueid("1392385689.187"))
    '1392385689-178_1392385689-187'
    """
    return RecordId(f"{_UNSAFE.sub('-', caller)}_{_UNSAFE.sub('-', other) if other is not None else '0'}")
