"""YAML text -> a tree of text with places. Text stays text: `0049`, `no`, `*3` are never numbers, booleans, aliases.

YAML without its surprises: no anchors, aliases, tags, directives, no second document; a key twice is a mistake.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from yaml.error import MarkedYAMLError
from yaml.events import Event, MappingEndEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent, StreamEndEvent
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner, ScannerError

from bridge.core.errors import Problem

MAX_CHARACTERS = 4_000_000
"""Of one file; some 20,000 users."""
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place and what it holds."""

    line: int
    column: int
    node: "Node"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins, from 1. None is a key or list item with nothing behind it, or an empty file."""

    line: int
    column: int
    value: "str | list[Node] | dict[str, Entry] | None"


class _MistakeError(Exception):
    def __init__(self, event: Event, message: str) -> None:
        super().__init__(message)
        self.mark = event.start_mark
        self.message = message


class _Loader(Reader, Scanner, Parser):
    """PyYAML's own scanner and parser, where `*` begins plain text, and what cannot be text says so."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def events(self) -> Iterator[Event]:
        """What the text holds, read as it is asked for."""
        while self.check_event():
            yield self.get_event()  # type: ignore[no-untyped-call]  # the stubs leave its types out

    def fetch_alias(self) -> None:
        self.fetch_plain()

    def fetch_anchor(self) -> NoReturn:
        self._refuse()

    def fetch_tag(self) -> NoReturn:
        self._refuse()

    def fetch_directive(self) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ScannerError(None, None, f"found character {self.peek()!r} that cannot start", self.get_mark())


_CANNOT_START = re.compile(r"found character (['\"])(.+)\1 that cannot start")
_WORDS: tuple[tuple[str, str, bool], ...] = (
    (
        "could not find expected ':'",
        "a key without `:` (if it is no key, it is not indented as what it belongs to)",
        True,
    ),
    (
        "mapping values are not allowed here",
        "a `:` that cannot stand here: wrong indentation, or text to be quoted",
        False,
    ),
    ("found unexpected end of stream", "the quote that opens here is never closed", True),
    ("found unexpected document separator", "the quote that opens here is never closed", True),
    # YAML 1.1, which PyYAML reads, lets no `?` stand in plain text between brackets.
    ("but got '?'", "text with a `?` must be quoted between `[` and `]` and between `{` and `}`", False),
    ("expected ',' or ']'", "the list that `[` opens here is not closed, or lacks a comma", True),
    ("expected ',' or '}'", "the keys that `{` opens here are not closed, or lack a comma", True),
    ("expected <block end>", "wrong indentation: this does not line up with what stands above it", False),
    ("found unknown escape character", "an unknown `\\` in double quotes: use single quotes", False),
    ("expected escape sequence", "an unknown `\\` in double quotes: use single quotes", False),
    (
        "sequence entries are not allowed here",
        "a list item `- …` cannot stand here: begin it on a line of its own",
        False,
    ),
    ("expected chomping", "a value cannot begin with `|` or `>`: quote it", False),
    ("expected the node content", "a value is missing here, or begins with a character that must be quoted", False),
)
"""PyYAML's words, ours, and whether the mistake is where the thing began, not where it was noticed."""


def _words(error: MarkedYAMLError) -> tuple[Any, str]:
    problem = error.problem or ""
    start = _CANNOT_START.search(problem)
    if start is not None:
        if start[2] == "\\t":
            return error.problem_mark, "a tab cannot stand here: indent with spaces"
        return error.problem_mark, f"a value cannot begin with `{start[2]}`: quote it"
    for theirs, ours, at_start in _WORDS:
        if theirs in problem:
            return (error.context_mark if at_start else None) or error.problem_mark, ours
    return error.problem_mark or error.context_mark, f"this is no YAML ({problem})"


def parse(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The tree, or None where the text is no YAML; keys that stand twice are problems, and the first one counts."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        return None, [Problem(file, 1, 1, f"the file is longer than {MAX_CHARACTERS:,} characters")]
    try:
        composer = _Composer(_Loader(text), file)
    except ReaderError as error:
        before = text[: error.position]
        character = text[error.position]
        place = before.count("\n") + 1, error.position - before.rfind("\n")
        return None, [Problem(file, *place, f"the character U+{ord(character):04X} cannot stand in YAML")]
    try:
        return composer.document(), composer.problems
    except MarkedYAMLError as error:
        mark, message = _words(error)
        return None, [*composer.problems, Problem(file, *_place(mark), message)]
    except _MistakeError as error:
        return None, [*composer.problems, Problem(file, *_place(error.mark), error.message)]


def _place(mark: Any) -> tuple[int, int]:
    """From 1; PyYAML has two classes of marks, and leaves them out where it knows no place."""
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


class _Composer:
    def __init__(self, loader: _Loader, file: str) -> None:
        self._events = loader.events()
        self._file = file
        self.problems: list[Problem] = []

    def document(self) -> Node:
        next(self._events)  # of the stream
        if isinstance(next(self._events), StreamEndEvent):
            return Node(1, 1, None)
        node = self._node(next(self._events), 0)
        next(self._events)  # of the document
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise _MistakeError(after, "a second document begins here: one file, one document")
        return node

    def _node(self, event: Event, depth: int) -> Node:
        place = _place(event.start_mark)
        if isinstance(event, ScalarEvent):
            return Node(*place, event.value if event.value or event.style else None)
        if depth == MAX_DEPTH:
            raise _MistakeError(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(self._events), SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Node(*place, items)
        entries: dict[str, Entry] = {}  # without aliases there is no fourth kind
        while not isinstance(event := next(self._events), MappingEndEvent):
            self._entry(event, entries, depth + 1)
        return Node(*place, entries)

    def _entry(self, event: Event, entries: dict[str, Entry], depth: int) -> None:
        key = self._node(event, depth)
        if not isinstance(key.value, str):
            raise _MistakeError(event, "a key must be text (quote a value that begins with `{` or `[`)")
        entry = Entry(key.line, key.column, self._node(next(self._events), depth))
        first = entries.setdefault(key.value, entry)
        if first is not entry:
            message = f"`{key.value}` stands here a second time (first in line {first.line})"
            self.problems.append(Problem(self._file, key.line, key.column, message))
