"""What a dialled leg's end is to one who knows SIP: a status, or one of Vonage's codes from 700 on."""

from bridge.core.calls import Channel

NETWORK_CAUSES = frozenset({18, 27, 38, 41, 44, 102})
"""Causes (Q.850) of a network that failed: no answer to SIP at all (18), no RTP any more (44; both measured on 22.10),
destination or network out of order, temporary failure, a timer that ran out."""

NORMAL_CLEARING = (700, "Normal Clearing")
UNEXPECTED_CLEARING = (703, "Unexpected Clearing")
MEDIA_TIMEOUT = (704, "Media Timeout")

_CANCELLED = (487, "Request Terminated")
_NO_RTP = 44
_WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    415: "Unsupported Media Type",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
"""The reason phrases of RFC 3261."""
_OF_CAUSE = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502, 28: 484,
    29: 501, 31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 44: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488,
    79: 501, 87: 403, 88: 503, 102: 504, 111: 500, 127: 500,
}  # fmt: skip
"""Q.850 to SIP, by RFC 3398, 8.2.6.1; 44 is Asterisk's CHANUNAVAIL."""
_OF_DIAL_STATUS = {"BUSY": 486, "NOANSWER": 480, "CHANUNAVAIL": 503, "CONGESTION": 503}


def end_of(leg: Channel, *, forced: bool) -> tuple[int, str]:
    """The code and its words for a dialled leg that has hung up; `forced`: by somebody who was not on the call.

    Of an unanswered one that was cancelled (somebody else answered, the caller gave up) TechCause says 500 or nothing
    (measured), so DialEnd goes before it; where Dial's time is over DialEnd alone says so.
    """
    if leg.answered_at is not None:
        if leg.cause == _NO_RTP:
            return MEDIA_TIMEOUT
        return UNEXPECTED_CLEARING if forced or leg.cause in NETWORK_CAUSES else NORMAL_CLEARING
    if leg.dial_status == "CANCEL":
        return _CANCELLED
    status = leg.sip_status
    if status is None or status not in range(300, 700):
        status = _OF_CAUSE.get(leg.cause or 0) or _OF_DIAL_STATUS.get(leg.dial_status, 480)
    return status, _WORDS.get(status, "")
