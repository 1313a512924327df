"""The bytes of the manager interface: framing, one message, and what may be sent. No I/O."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from bridge.core.errors import AsteriskError, InvalidAmiValueError

_END = b"\r\n\r\n"
_BANNER = b"Asterisk Call Manager/"
_FORBIDDEN = re.compile("[\r\n\0]")
_NAME = re.compile(r"[A-Za-z0-9_-]+")

MAX_MESSAGE = 16 * 1024 * 1024
"""The longest message that is taken from Asterisk, bytes."""

MAX_LINE = 1022
"""The longest line that Asterisk takes, bytes without CR LF (measured on 22.10: with 1,023 it is "line too long")."""

MAX_HEADERS = 128
"""Headers of one action that Asterisk takes, Action and ActionID among them.

Measured on 22.10: with 129 it answers "Too many lines in message" without an ActionID, so nobody would hear of it.
"""


class FrameBuffer:
    """Cuts a byte stream into blocks, the text between blank lines.

    No byte is searched twice but for the three before a chunk's border, where a separator may lie across.
    """

    __slots__ = ("_greeted", "_limit", "_searched", "_tail", "banner")

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._tail = bytearray()
        self._searched = 0
        self._limit = limit
        self._greeted = False
        self.banner = ""

    def feed(self, data: bytes) -> list[bytes]:
        """Whole blocks that `data` completes, in order, without their blank line.

        Raises AsteriskError where a block grows over the limit; the stream is of no use then.
        """
        tail = self._tail
        if not self._greeted:
            tail += data
            data = self._past_banner()
        if not tail:
            blocks = data.split(_END)
        else:
            tail += data
            end = tail.find(_END, self._searched)
            if end < 0:
                self._searched = max(0, len(tail) - 3)
                self._check()
                return []
            blocks = [bytes(tail[:end]), *bytes(memoryview(tail)[end + 4 :]).split(_END)]
            tail.clear()
        rest = blocks.pop()
        tail += rest
        self._searched = max(0, len(rest) - 3)
        if not blocks:  # what is whole is given first: the next chunk says that this one is too long
            self._check()
        return blocks

    def _past_banner(self) -> bytes:
        """Take the greeting line off; gives what follows, or leaves all in the buffer while the line is unfinished."""
        tail = self._tail
        if tail.startswith(_BANNER[: len(tail)]):
            end = tail.find(b"\n")
            if end < 0:
                return b""
            self.banner = tail[:end].decode("utf-8", "replace").strip()
            del tail[: end + 1]
        self._greeted = True
        rest = bytes(tail)
        tail.clear()
        return rest

    def _check(self) -> None:
        if len(self._tail) > self._limit:
            raise AsteriskError(f"a message of Asterisk's is longer than {self._limit} bytes")


@lru_cache(maxsize=512)
def _needles(name: str) -> tuple[bytes, bytes]:
    """How a header's line begins: the first line of a message, and any other."""
    prefix = name.encode("utf-8", "surrogateescape") + b": "
    return prefix, b"\r\n" + prefix


class RawMessage:
    """One message as it came, and when (aware UTC). A header is searched for in the bytes when it is asked for.

    Bytes that are no UTF-8 come out as lone surrogates (`surrogateescape`), so that they can be sent back unchanged.
    """

    __slots__ = ("raw", "received_at")

    def __init__(self, raw: bytes, received_at: datetime) -> None:
        self.raw = raw
        self.received_at = received_at

    def header(self, name: str) -> str:
        """The first value of a header, or ''. Names are exact."""
        raw = self.raw
        prefix, needle = _needles(name)
        if raw.startswith(prefix):
            start = len(prefix)
        else:
            start = raw.find(needle)
            if start < 0:
                return ""
            start += len(needle)
        end = raw.find(b"\r\n", start)
        return (raw[start:end] if end >= 0 else raw[start:]).decode("utf-8", "surrogateescape")

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header that repeats, in order."""
        prefix, _ = _needles(name)
        return tuple(
            line[len(prefix) :].decode("utf-8", "surrogateescape")
            for line in self.raw.split(b"\r\n")
            if line.startswith(prefix)
        )

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every header in order; lines that are none are left out."""
        lines = (line.partition(b": ") for line in self.raw.split(b"\r\n"))
        return tuple(
            (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
            for name, colon, value in lines
            if colon
        )

    def __repr__(self) -> str:
        return f"<RawMessage {self.raw[:60]!r}>"

    @property
    def id(self) -> str:
        """The ActionID that this answers, or ''; panoramisk finds the action by it."""
        return self.header("ActionID")


Fields = Mapping[str, str | Sequence[str]]
"""An action's headers; a sequence repeats the header."""


def encode_action(name: str, action_id: str, fields: Fields) -> bytes:
    """An action as it goes over the wire. Raises InvalidAmiValueError for what Asterisk would misread."""
    headers = [("Action", name), ("ActionID", action_id)]
    for key, value in fields.items():
        headers.extend((key, one) for one in ((value,) if isinstance(value, str) else value))
    if len(headers) > MAX_HEADERS:
        raise InvalidAmiValueError(f"{name} has {len(headers)} headers, Asterisk reads {MAX_HEADERS}")
    lines = []
    for key, value in headers:
        if not _NAME.fullmatch(key):
            raise InvalidAmiValueError(f"{key!r} is no name of a header", action=name)
        if _FORBIDDEN.search(value):
            raise InvalidAmiValueError(f"{key} of {name} holds a CR, LF or NUL", action=name, header=key)
        line = f"{key}: {value}".encode("utf-8", "surrogateescape")
        if len(line) > MAX_LINE:
            raise InvalidAmiValueError(
                f"{key} of {name} makes a line of {len(line)} bytes, Asterisk reads {MAX_LINE}",
                action=name,
                header=key,
            )
        lines.append(line)
    return b"\r\n".join(lines) + _END
