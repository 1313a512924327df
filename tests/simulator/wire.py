"""AMI's text, and what a session is sent of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = list[tuple[str, str]]

_CRITERIA = re.compile(r"name\((?P<name>[^)]*)\)(?:,header\((?P<header>[^)]*)\),method\((?P<method>regex|exact)\))?")


def block(headers: Iterable[tuple[str, str]]) -> bytes:
    """One message. AMI promises no charset: bytes that came as surrogates leave as they came."""
    return ("".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode("utf-8", "surrogateescape")


def parse(text: bytes) -> Headers:
    """An action's headers in order; a lone LF ends a line too, as in Asterisk."""
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    pairs = (line.rstrip("\r").partition(":") for line in lines)
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]


def header(headers: Headers, name: str) -> str:
    """The first header of that name (in any case), or nothing."""
    return next((value for key, value in headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Lets an event of this name pass; with `header`, only if a header of it has the value."""

    name: str
    header: str
    pattern: re.Pattern[str] | None

    @classmethod
    def parse(cls, criteria: str, pattern: str) -> "EventFilter | None":
        """Of `name(X)` and `name(X),header(Y),method(regex|exact)`; nothing for what is none of them."""
        found = _CRITERIA.fullmatch(criteria)
        if found is None:
            return None
        text = pattern if found["method"] == "regex" else rf"\A{re.escape(pattern)}\Z"
        return cls(found["name"], found["header"] or "", re.compile(text) if found["header"] else None)

    def passes(self, headers: Headers) -> bool:
        """Whether the event may go to the session."""
        if header(headers, "Event") != self.name:
            return False
        return self.pattern is None or self.pattern.search(header(headers, self.header)) is not None


def split_arguments(text: str) -> tuple[str, str, str]:
    """MixMonitor's file, options and command out of one string, as Asterisk splits them: a comma inside parentheses
    does not count, and the last takes whatever is left."""
    parts: list[str] = []
    depth = begin = 0
    for at, letter in enumerate(text):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth = max(depth - 1, 0)
        elif letter == "," and not depth and len(parts) < 2:
            parts.append(text[begin:at])
            begin = at + 1
    parts.append(text[begin:])
    file, options, command = (*parts, "", "")[:3]
    return file, options, command


def option(options: str, letter: str) -> str | None:
    """The argument of an option: `i(VAR)` has VAR, a bare letter ''; None where it is not given."""
    for match in re.finditer(r"([A-Za-z])(?:\(([^()]*)\))?", options):
        if match[1] == letter:
            return match[2] or ""
    return None
