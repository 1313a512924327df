"""Mails that wait to be sent: what an address may be, when they are tried again, and when no more."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_FIRST_AGAIN = timedelta(minutes=1)
AGAIN_AT_MOST = timedelta(hours=1)
"""No mail is put off for longer."""
_FOR = timedelta(days=2)
_SUBJECT_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is kept until it is sent or given up. `tries` are those that failed; all times are aware."""

    id: str
    to: str
    subject: str
    text: str
    asked_at: datetime
    due_at: datetime
    tries: int = 0


def is_address(text: str) -> bool:
    """Whether this is one plain address, and nothing that could become a header or another recipient.

    >>> is_address("eve@example.org"), is_address("e@x.de\\r\\nBcc: all@x.de"), is_address("Eve <e@x.y>")
    (True, False, False)
    """
    local, _, domain = text.rpartition("@")
    return len(local) <= 64 and len(domain) <= 253 and _ADDRESS.fullmatch(text) is not None


def one_line(text: str) -> str:
    """A subject: one line without control characters, and not too long.

    >>> one_line("Your export\\r\\nBcc: all@example.org")
    'Your export Bcc: all@example.org'
    """
    words = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(words.split())[:_SUBJECT_AT_MOST]


def again_at(mail: Mail, now: datetime) -> datetime | None:
    """When a mail is tried again that has just failed: after 1, 2, 4 … 60 minutes; None after two days."""
    if now - mail.asked_at >= _FOR:
        return None
    return now + min(AGAIN_AT_MOST, _FIRST_AGAIN * (1 << min(mail.tries, 10)))
