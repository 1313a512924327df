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
_SNAPSHOT = re.compile(
    rb"\r\n([A-Za-z]*)Channel: [^\r]*"
    + b"".join(rb"\r\n\1" + line.encode() + rb": [^\r]*" for line in _LINES)
    + rb"(?:\r\n\1Tenantid: [^\r]*)?\r\n\1Linkedid: "
)
_FIRST = re.compile(rb"\r\n[A-Za-z]*ChannelStateDesc: ")
_LAST = re.compile(rb"\r\n[A-Za-z]*(?:Uniqueid|Linkedid): ")
_MIDDLE = re.compile(rb"\r\n[A-Za-z]*ConnectedLineName: ")
_TAIL = b"\r\nConnectedLineName: "


def is_torn(block: bytes) -> bool:
    """Whether a message that tells of channels does so in other lines than Asterisk's own."""
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
    kept = [line for line in block.split(b"\r\n") if not line.startswith((b"CallerID", b"ConnectedLine"))]
    unknown = [b"CallerIDNum: <unknown>", b"CallerIDName: <unknown>", b"ConnectedLineNum: <unknown>"]
    head = [line for line in kept if line.startswith((b"Event: ", b"ActionID: ", b"Bridge", b"Channel"))]
    return b"\r\n".join([*head, *unknown]) + end[end.rindex(_TAIL) :]
