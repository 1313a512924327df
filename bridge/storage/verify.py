"""Walks the chain of facts, and the files that it names, beside a daemon that goes on writing. Blocks.

Facts are read in pages, each in a short transaction of its own, and files in blocks: memory stays small, and the
daemon never waits.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bridge.core.chain import GENESIS, Head, next_hash, personal_digest
from bridge.core.records import FactKind
from bridge.storage import rows
from bridge.storage.chaining import BEFORE_ALL, Page, plain_rows, read_page
from bridge.storage.findings import Findings, Misfit
from bridge.storage.reading import opened_to_read
from bridge.storage.spool import Spool
from bridge.storage.values import text_out, time_out
from bridge.storage.verify_sections import SectionCheck

_PAGE = 500
_BEYOND = 2**64

_HASH = "SELECT hash FROM facts WHERE number = ?"
_LAST_NUMBER = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'facts'), 0)"
_STORED = FactKind.SECTION_STORED.value.encode()
_DELETED = FactKind.SECTION_DELETED.value.encode()


def verify(
    database: Path,
    spool: Spool | None,
    since: Head | None = None,
    expected: Sequence[Head] = (),
    tell: Callable[[Findings], None] = lambda _: None,
) -> Findings:
    """Look whether everything fits, from the first fact or from the one after `since`.

    Files are looked at where a `spool` is given. Each of `expected` has to be in the chain. `tell` is called often,
    with what was looked at so far. Raises StoreError where the database cannot be read, PermissionError where a file
    cannot.
    """
    with opened_to_read(database) as connection, plain_rows(connection):
        walk = _Walk(connection, spool, expected, tell)
        walk.begin(since)
        walk.facts()
        walk.check.without_fact()
        return walk.found


class _Walk:
    def __init__(
        self,
        connection: sqlite3.Connection,
        spool: Spool | None,
        expected: Sequence[Head],
        tell: Callable[[Findings], None],
    ) -> None:
        self.found = Findings()
        self.check = SectionCheck(connection, spool, self.found, tell)
        self._connection = connection
        self._tell = tell
        self._expected = sorted(expected)
        self._after = BEFORE_ALL
        self._previous: bytes | None = GENESIS
        """The hash before the next fact; None where it is not known."""

    def begin(self, since: Head | None) -> None:
        """Begin after this fact."""
        if since is None:
            self._expect(0, GENESIS)
            return
        for head in [head for head in self._expected if head.number < since.number]:
            self._expect(head.number, self._hash_at(head.number))
        kept = self._hash_at(since.number)
        self._expect(since.number, kept)
        if kept != since.hash:
            self._no_head(since, kept)
        self._after = since.number or BEFORE_ALL
        self._previous = kept
        self.found.head = Head(since.number, kept or GENESIS)

    def _hash_at(self, number: int) -> bytes | None:
        if number == 0:
            return GENESIS
        row = self._connection.execute(_HASH, (number,)).fetchone()
        return None if row is None else row["hash"]

    def facts(self) -> None:
        """Walk them all; those that come meanwhile, too."""
        while True:
            page, last = self._page()
            personal = defaultdict(list)
            for row in page.personal:
                personal[row["fact"]].append(row)
            for row in page.facts:
                self._fact(row, personal.pop(row["number"], []))
            self._tell(self.found)
            if not page.facts:
                break
            self._strays(number for number in personal if number < 1)
            self._after = page.facts[-1]["number"]
        if last > self.found.head.number:
            self._missing(self.found.head.number + 1, last)
        self._strays(number for number in personal if number > last)
        self._expect(_BEYOND, None)

    def _strays(self, numbers: Iterable[int]) -> None:
        """Personal values of facts that never were; of those that are missing it is told already."""
        for number in numbers:
            self._misfit("fact-missing", f"fact {number} has personal values, but is not there", number)

    def _page(self) -> tuple[Page, int]:
        """The next facts, and the last number that was ever given, of one moment."""
        self._connection.execute("BEGIN")
        try:
            ((last,),) = self._connection.execute(_LAST_NUMBER)
            return read_page(self._connection, self._after, _PAGE), last
        finally:
            self._connection.execute("COMMIT")

    def _fact(self, row: sqlite3.Row, personal: Sequence[sqlite3.Row]) -> None:
        number, stored = row["number"], row["hash"]
        if number < 1:
            self._misfit("fact-added", f"fact {number}: the first number is 1", number)
            return
        if number != self.found.head.number + 1:
            self._missing(self.found.head.number + 1, number - 1)
            self._previous = None
        self.found.facts += 1
        self._personal(number, personal)
        if stored is None:
            self._misfit("fact-changed", f"{_named(row)}: it has no hash", number)
        elif self._previous is not None and stored != next_hash(
            self._previous, rows.chained(row), map(rows.digest_of, personal)
        ):
            words = f"its hash does not follow from fact {number - 1} and what it says: it was changed, or that one"
            self._misfit("fact-changed", f"{_named(row)}: {words}", number)
        self._previous = stored
        self.found.head = Head(number, stored or GENESIS)
        self._expect(number, stored)
        if row["kind"] == _STORED:
            self.check.stored(row)
        elif row["kind"] == _DELETED:
            self.check.deleted(row)

    def _personal(self, number: int, personal: Sequence[sqlite3.Row]) -> None:
        for row in personal:
            self.found.personal += 1
            salt, name, value = row["salt"], row["name"], row["value"]
            if salt is None and value is None:
                self.found.erased += 1
            elif salt is None or value is None or personal_digest(salt, name, value) != row["digest"]:
                words = f"fact {number}: its personal value {text_out(name)!r} does not fit its digest"
                self._misfit("personal-changed", words, number)

    # What kept heads say

    def _expect(self, number: int, stored: bytes | None) -> None:
        """Compare the expected heads up to this number with what is there."""
        while self._expected and self._expected[0].number <= number:
            head = self._expected.pop(0)
            there = stored if head.number == number else None
            if head.hash != there:
                self._no_head(head, there)

    def _no_head(self, head: Head, there: bytes | None) -> None:
        words = "is not there" if there is None else f"has the hash {there.hex()}"
        self._misfit(
            "head-differs", f"fact {head.number} {words}, and was kept with the hash {head.hash.hex()}", head.number
        )

    def _missing(self, first: int, last: int) -> None:
        words = f"fact {first} is missing" if first == last else f"facts {first} to {last} are missing"
        self.found.add(Misfit("fact-missing", words, first), last - first + 1)

    def _misfit(self, what: str, message: str, fact: int) -> None:
        self.found.add(Misfit(what, message, fact))


def _named(fact: sqlite3.Row) -> str:
    try:
        at = f", {time_out(fact['at']).isoformat()}"
    except OverflowError:  # somebody has changed it
        at = ""
    return f"fact {fact['number']} ({text_out(fact['kind'])}{at})"
