"""Messages that a caller has torn apart: AMI writes a caller's number as it came, line breaks too (measured).

A SIP caller `<sip:1%0D%0A%0D%0AEvent: Hangup%0D%0AUniqueid: …@…>` could so say what Asterisk seems to say. But each
channel in a message is told in the same lines, in the same order, and nothing in them may be missing or doubled: that
finds all but a caller who writes the whole of several messages into his number, with ids that he guesses.
"""

import re

# Of these CallerIDNum, ConnectedLineNum and Exten are raw; names are C-escaped (ASTERISK.md, "The AMI wire"). Tenantid
# is there from 22.0 on.
_LINES = (
    "ChannelState",
    "ChannelStateDesc",
    "CallerIDNum",
    "CallerIDName",
    "ConnectedLineNum",
    "ConnectedLineName",
    "Language",
    "AccountCode",
    "Context",
    "Exten",
    "Priority",
    "Uniqueid",
)


def _told(first: bytes, prefix: bytes) -> re.Pattern[bytes]:
    """A channel's lines, whole and in order; `prefix` is what stands before each name (`Dest`, `LocalOne`)."""
    lines = b"".join(rb"\r\n" + prefix + line.encode() + rb": [^\r]*" for line in _LINES)
    tenant = rb"(?:\r\n" + prefix + rb"Tenantid: [^\r]*)?"
    return re.compile(first + rb"Channel: [^\r]*" + lines + tenant + rb"\r\n" + prefix + rb"Linkedid: ")


_SNAPSHOT = _told(rb"\r\n([A-Za-z]*)", rb"\1")
_PLAIN = _told(rb"\r\n", b"")
_CHANNEL = b"\r\nChannel: "
_FIRST = re.compile(rb"\r\n[A-Za-z]*ChannelStateDesc: ")
_LAST = re.compile(rb"\r\n[A-Za-z]*(?:Uniqueid|Linkedid): ")
_MIDDLE = re.compile(rb"\r\n[A-Za-z]*ConnectedLineName: ")
_ONCE = (b"ChannelStateDesc: ", b"ConnectedLineName: ", b"Uniqueid: ", b"Linkedid: ")
_UNKNOWN = b"\r\nCallerIDNum: <unknown>\r\nCallerIDName: <unknown>\r\nConnectedLineNum: <unknown>"
_TAIL = b"\r\nConnectedLineName: "


def is_torn(block: bytes) -> bool:
    """Whether a message that tells of channels does so in other lines than Asterisk's own."""
    # Most events tell of one channel, and need no more than this; every event comes through here.
    if _PLAIN.match(block, max(0, block.find(_CHANNEL))) and all(block.count(name) == 1 for name in _ONCE):
        return False
    told = len(_FIRST.findall(block))
    if not told:
        # The rest of a torn message begins with what the caller wrote.
        return _TAIL in block
    prefixes = _SNAPSHOT.findall(block)
    # Two for each channel; BridgeUniqueid and the like do count, but are never doubled.
    last = _LAST.findall(block)
    if len(_MIDDLE.findall(block)) != told:
        return True
    return len(prefixes) != told or len(set(prefixes)) != told or len(set(last)) != len(last)


def mended(block: bytes, pieces: list[bytes]) -> bytes | None:
    """An item of a list, torn into `block` and `pieces`, put together again: a list's answer has no events in it.

    What the caller wrote goes; None where the end of the item is not among the pieces.
    """
    end = next((piece for piece in reversed(pieces) if _TAIL in b"\r\n" + piece), None)
    if end is None:
        return None
    end = b"\r\n" + end
    # What stands before the first raw line is Asterisk's own.
    head, _, _ = block.partition(b"\r\nCallerIDNum: ")
    return head + _UNKNOWN + end[end.rindex(_TAIL) :]
