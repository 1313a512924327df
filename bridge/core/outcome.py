"""What became of a call: answered by a person, taken by a voicemail, blocked."""

from bridge.core.calls import Call
from bridge.core.records import CallStatus

VOICEMAIL = "VMSTATUS"
"""What app_voicemail sets: SUCCESS where a message was left, whoever hung up; FAILED where it was too short or there is
no such mailbox (measured on 22.10)."""

BLOCKED = "WAZO_BLOCKED_NUMBER_UUID"
"""What Wazo's dialplan sets before it turns a caller away that the user has blocked: the blocked number's uuid."""

VARIABLES = frozenset({VOICEMAIL, BLOCKED})
"""The channel variables to know of, whatever the rules ask about."""


def status_of(call: Call, *, answered: bool) -> CallStatus:
    """What became of a finished call; `answered`: by a party that was rung, which beats all that came after."""
    if answered:
        return CallStatus.ANSWERED
    if call.variables.get(BLOCKED):
        return CallStatus.BLOCKED
    return CallStatus.VOICEMAIL if call.variables.get(VOICEMAIL) == "SUCCESS" else CallStatus.UNKNOWN
