"""The embedded store: SQLite through aiosqlite. Every error is a StoreError that names the remedy."""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar
from zoneinfo import ZoneInfo

from bridge.core.access import Token
from bridge.core.accounts import Account, Span, TalkAccount
from bridge.core.asked import AskedCall, AskedTalk, KeptRules, Matches
from bridge.core.cdr_lists import CdrDays, CdrFacets, CdrPart, CdrSearch, CdrWalk
from bridge.core.cdrs import CdrNumber, CdrNumbers, CdrPage, CdrQuery, KeptCdr
from bridge.core.chain import GENESIS
from bridge.core.errors import StoreError
from bridge.core.exports import ALL_STATUSES, Export, ExportId, ExportStatus
from bridge.core.ids import CallId, FactNumber, Identity, RecordId, RuleId, SectionKey
from bridge.core.kept import KeptCall
from bridge.core.people import UserFlags
from bridge.core.records import Demand, NumberedEntry, NumberedFact, Pause, Section
from bridge.core.retention import Hold
from bridge.core.settings import Settings
from bridge.core.store import Change, Mark
from bridge.storage import accounts, asked, cdr_lists, cdrs, holds, rows, running, statements, wishes
from bridge.storage.batch import Batch, plan
from bridge.storage.export_rows import EXPORT, EXPORTS, export_of
from bridge.storage.opening import Opened, connect
from bridge.storage.reader import Reader
from bridge.storage.settings import SETTINGS, settings_of
from bridge.storage.sqlite_errors import is_trouble, store_error
from bridge.storage.values import Row, json_in, text_in, time_in

_COMMITS_WAITING = 4096
_MERGE_EVERY = 16
"""After so many commits some pieces of the indexes become one: 2 ms, while no commit waits for it for long."""
_MERGE_PAUSE_S = 0.05
"""Longer than a step: who waits for SQLite's lock tries only now and then."""

_Found = TypeVar("_Found")


def _transact(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
    """Runs in the connection's thread. Raises what SQLite says no to; then nothing is kept."""
    connection.execute(statements.BEGIN)
    try:
        ((last_fact,),) = connection.execute(statements.LAST_FACT)
        (last_hash,) = connection.execute(statements.LAST_HASH).fetchone() or (GENESIS,)
        ((last_cdr,),) = connection.execute(statements.LAST_CDR)
        taken = _taken(connection)
        new = [batch for batch in batches if batch.is_new(taken)]
        for sql, some in plan(new, last_fact, last_hash or GENESIS, last_cdr):
            if some:
                connection.executemany(sql, some)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # the first error says more
                connection.execute("ROLLBACK")
        raise


def _taken(connection: sqlite3.Connection) -> tuple[Mark, int]:
    """The last mark, with the number of its last fact."""
    found = connection.execute(statements.TAKEN).fetchone()
    return (Mark(found["run"], found["number"]), found["fact"]) if found is not None else (Mark(0, 0), 0)


class SqliteStore:
    """A `bridge.core.store.Store` in one file (WAL, synchronous=FULL).

    All `commit()` calls that have queued up while the disk was busy share the next transaction; if it fails because of
    one of them, each is tried alone. A cancelled `commit()` is withdrawn if the writer has not begun with it. Reads go
    over a connection of their own, one at a time, and questions about finished calls over another. At the bounds of the
    queues (4,096 commits, 256 reads of each) a call is refused at once.
    """

    def __init__(self, path: Path, systemname: str, opened: Opened, wait_s: float) -> None:
        self._path = path
        self._systemname = systemname
        self._writer = opened.writer
        self._reader = Reader(opened.reader, path, wait_s)
        # Questions about finished calls look through a lot: nobody's token waits for them.
        self._searcher = Reader(opened.searcher, path, wait_s)
        self._wait_s = wait_s
        self._queue: deque[Batch] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._unmerged = 0
        self._write_task = asyncio.create_task(self._write_all(), name="store-writer")

    @classmethod
    async def open(
        cls, path: Path, systemname: str, *, busy_s: float = 5.0, wait_s: float = 30.0, check_s: float = 10.0
    ) -> Self:
        """Open or make the database at `path`, bring it to this code's schema, and stamp rows with `systemname`.

        `busy_s` is how long another program's lock is waited for, `wait_s` how long a call may wait in all, `check_s`
        how long a search for damage may take (about 1 s for each GB; a larger database is searched in part). A missing
        file is made with mode 0600; its folder must exist. Raises StoreError.
        """
        return cls(path, systemname, await connect(path, busy_s, check_s), wait_s)

    async def close(self) -> None:
        """Keep what is queued, then close; later calls raise StoreError."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait_for(self._write_task, self._wait_s)
        except TimeoutError as error:
            for connection in (self._reader.connection, self._searcher.connection, self._writer):
                connection.stop()  # closes once the disk answers; nobody waits for that
            raise StoreError(
                f"database {self._path}: its disk does not answer: see `dmesg`", reason="timeout"
            ) from error
        # The last to close clears the WAL, which readers may not do.
        await self._reader.connection.close()
        await self._searcher.connection.close()
        await self._writer.close()

    async def commit(
        self,
        changes: Sequence[Change],
        mark: Mark | None = None,
        *,
        rewrites: Sequence[tuple[str, Sequence[Row]]] = (),
    ) -> Sequence[NumberedFact]:
        """Keep all changes in their order, or none; on return they are on disk. Gives the new facts, numbered.

        With `mark`, the last change's, that is kept with them, and changes that are not higher than the last mark are
        taken already: of the very last ones the facts are told again. `rewrites` are retention's: statements with
        their rows, run last. Raises StoreError; its detail `kept` is `no`, or `unknown` where the disk did not answer
        in time.
        """
        batch = self._new_batch()
        batch.rewrites = rewrites
        if mark is not None:
            batch.mark = {"systemname": text_in(self._systemname), "run": mark.run, "number": mark.number}
        try:
            for change in changes:
                batch.add(change, self._systemname)
        except (TypeError, ValueError) as error:
            raise self._error(error) from error
        if changes or rewrites:
            await self._kept(batch)
        return batch.numbered

    async def add_token(self, token: Token) -> None:
        """Keep a new token. Raises StoreError where there is one with its id."""
        batch = self._new_batch()
        batch.add_token(token, self._systemname)
        await self._kept(batch)

    async def taken(self) -> Mark:
        """The mark of the last changes that came with one; (0, 0) where there is none."""
        found = await self._read(statements.TAKEN)
        return Mark(found[0]["run"], found[0]["number"]) if found else Mark(0, 0)

    async def facts_after(self, number: FactNumber, limit: int) -> Sequence[NumberedFact]:
        """Up to `limit` facts with a higher number, in order, without gaps."""
        return [rows.fact_of(row) for row in await self._read(statements.FACTS_AFTER, number, limit)]

    async def fact_bounds(self) -> tuple[FactNumber, FactNumber]:
        """The lowest and the highest number kept; (1, 0) where there is none."""
        ((lowest, highest),) = await self._read(statements.FACT_BOUNDS)
        return FactNumber(lowest), FactNumber(highest)

    async def section(self, key: SectionKey) -> Section | None:
        """One section."""
        found = await self._read(statements.SECTION, *key)
        return rows.section_of(found[0]) if found else None

    async def sections_of(self, record_id: RecordId) -> Sequence[Section]:
        """A record's sections, by rule and file."""
        return [rows.section_of(row) for row in await self._read(statements.SECTIONS_OF, record_id)]

    async def open_sections(self) -> Sequence[Section]:
        """Sections that are in no final state (stored, failed, lost), in the order in which they were first kept."""
        return [rows.section_of(row) for row in await self._read(statements.OPEN_SECTIONS)]

    async def demands(self) -> Sequence[Demand]:
        """All that are kept, oldest first; of one moment, by record and rule."""
        return [wishes.demand_of(row) for row in await self._read(statements.DEMANDS)]

    async def pauses(self) -> Sequence[Pause]:
        """All that are kept, oldest first; of one moment, by record and user."""
        return [wishes.pause_of(row) for row in await self._read(statements.PAUSES)]

    async def running_calls(self) -> Sequence[KeptCall]:
        """The calls that ran when they were last seen, oldest first."""
        found = [running.call_of(row) for row in await self._read(statements.RUNNING_CALLS)]
        return sorted(found, key=lambda call: (call.began_at, call.call_id))

    async def open_talks(self) -> Sequence[TalkAccount]:
        """Talks without an end, oldest first; of one moment, by id."""
        return [accounts.talk_of(row) for row in await self._read(accounts.OPEN_TALKS)]

    async def open_spans(self) -> Sequence[Span]:
        """All spans of the talks without an end, by talk and number."""
        return [accounts.span_of(row) for row in await self._read(accounts.OPEN_SPANS)]

    async def accounts(
        self, since: datetime, until: datetime, limit: int, after: Account | None = None
    ) -> Sequence[Account]:
        """Up to `limit` calls that ended from `since` to before `until` (aware), in the order of their ends."""
        last = (-1, 0) if after is None else (time_in(after.cdr.ended_at), after.number)
        calls = list(await self._read(accounts.ENDED_CALLS, time_in(since), time_in(until), *last, limit))
        if not calls:
            return []
        page = [value for row in (calls[0], calls[-1]) for value in (row["ended_at"], row["id"])]
        talks = await self._read(accounts.TALKS_OF_CALLS, *page)
        spans = await self._read(accounts.SPANS_OF_CALLS, *page)
        sections = await self._read(accounts.SECTIONS_OF_CALLS, *page)
        return accounts.page(calls, talks, spans, sections)

    async def asked_calls(
        self, since: datetime, until: datetime, limit: int, after: AskedCall | None = None
    ) -> Sequence[AskedCall]:
        """Up to `limit` calls that ended from `since` to before `until` (aware), in the order of their ends."""
        last = (-1, 0) if after is None else (time_in(after.cdr.ended_at), after.number)
        calls = list(await self._read(accounts.ENDED_CALLS, time_in(since), time_in(until), *last, limit))
        if not calls:
            return []
        bounds = [value for row in (calls[0], calls[-1]) for value in (row["ended_at"], row["id"])]
        return asked.page(calls, *await self._asked_talks(await self._read(accounts.TALKS_OF_CALLS, *bounds)))

    async def asked_call(self, number: CdrNumber) -> AskedCall | None:
        """One finished call, with its talks."""
        found = await self._read(asked.CDR_END, number)
        if not found:
            return None
        ended_at = found[0]["ended_at"]
        calls = await self._read(accounts.ENDED_CALLS, ended_at, ended_at + 1, ended_at, number - 1, 1)
        talks = await self._read(accounts.TALKS_OF_CALLS, ended_at, number, ended_at, number)
        return next(iter(asked.page(calls, *await self._asked_talks(talks))), None)

    async def asked_running(self, call_id: CallId) -> Sequence[AskedTalk]:
        """The talks of a call that runs, by their beginnings."""
        return asked.talks_of(*await self._asked_talks(await self._read(asked.TALKS_OF_RUNNING, call_id)))

    async def _asked_talks(
        self, talks: Sequence[sqlite3.Row]
    ) -> tuple[Sequence[sqlite3.Row], Sequence[sqlite3.Row], Sequence[sqlite3.Row]]:
        """The rows of talks, of their spans, and of what was asked of them."""
        ids = json_in([row["talk_id"] for row in talks])
        return talks, await self._read(asked.SPANS_OF_TALKS, ids), await self._read(asked.ASKED_OF_TALKS, ids)

    async def cdrs_named(self, name: str) -> Sequence[CdrNumber]:
        """The finished calls that are called this, or wrote into the record that is; in order."""
        return [CdrNumber(row["id"]) for row in await self._read(asked.CDRS_NAMED, name)]

    async def kept_rules(self, number: int) -> KeptRules | None:
        """The rules with this number."""
        found = await self._read(asked.RULES, number)
        return asked.rules_of(found[0]) if found else None

    async def rules_in_force(self) -> KeptRules | None:
        """The rules that were kept last."""
        found = await self._read(asked.NEWEST_RULES)
        return asked.rules_of(found[0]) if found else None

    async def rule_matches(self, since: datetime) -> Mapping[RuleId, Matches]:
        """How often each rule had to do with a call in talks that began since then (aware)."""
        return asked.matches_of(await self.look_through(asked.MATCHES, asked.since_talk(since)))

    async def away_facts(self, since: datetime, until: datetime) -> Sequence[NumberedFact]:
        """When Asterisk or recbridge came and went, from the last such fact up to `since` on to `until`, in order."""
        return [rows.fact_of(row) for row in await self._read(accounts.AWAY_FACTS, time_in(until), time_in(since))]

    async def holds(self) -> Sequence[Hold]:
        """All legal holds that were ever set, oldest first."""
        return [holds.hold_of(row) for row in await self._read(statements.HOLDS)]

    async def user_flags(self) -> Mapping[Identity, UserFlags]:
        """What users have changed of their flags."""
        found = await self._read(statements.USER_FLAGS)
        return {Identity(row["identity"]): wishes.flags_of(row) for row in found}

    async def file_numbers(self, since: datetime) -> Mapping[tuple[RecordId, RuleId], int]:
        """The highest section number of each record and rule that was requested since then (aware)."""
        found = await self._read(statements.FILE_NUMBERS, time_in(since))
        return {(RecordId(row["record_id"]), RuleId(row["rule_id"])): row["file"] for row in found}

    async def journal(self, identity: Identity | None, limit: int) -> Sequence[NumberedEntry]:
        """The newest entries first, of one user or of all."""
        if identity is None:
            found = await self._read(statements.JOURNAL, limit)
        else:
            found = await self._read(statements.JOURNAL_OF_IDENTITY, identity, limit)
        return [rows.entry_of(row) for row in found]

    async def journal_of_record(self, record_id: RecordId) -> Sequence[NumberedEntry]:
        """The entries of the calls that wrote into this record (their own or, by their CDR, too), oldest first."""
        return [rows.entry_of(row) for row in await self._read(statements.JOURNAL_OF_RECORD, record_id)]

    async def token(self, token_id: str) -> Token | None:
        """The token with this public part, expired or not."""
        found = await self._read(statements.ACCESS, token_id)
        return rows.token_of(found[0]) if found else None

    async def end_token(self, token_id: str) -> bool:
        """Forget a token, and those made with it; on return they open nothing any more. False where there was none."""
        if await self.token(token_id) is None:
            return False
        await self.commit([], rewrites=[(statements.END_ACCESS, [{"id": text_in(token_id)}])])
        return True

    async def settings(self) -> Settings:
        """What an admin has set."""
        return settings_of(await self._read(SETTINGS))

    async def identities(self) -> Sequence[Identity]:
        """Everybody who took part in a finished call, in order."""
        return [Identity(row["identity"]) for row in await self._read(cdrs.IDENTITIES)]

    async def cdr(self, number: CdrNumber) -> KeptCdr | None:
        """One finished call."""
        return await self._ask(self._searcher, lambda connection: cdrs.one(connection, number))

    async def cdrs(self, query: CdrQuery) -> CdrPage:
        """A page of the finished calls that are found, and how many there are."""
        return await self._ask(self._searcher, lambda connection: cdrs.answer(connection, query))

    async def cdr_numbers(self, query: CdrQuery) -> CdrNumbers:
        """The numbers of the finished calls that are found, and how many there are."""
        return await self._ask(self._searcher, lambda connection: cdrs.numbers(connection, query))

    async def cdr_part(self, walk: CdrWalk) -> CdrPart:
        """A part of a list of finished calls, and how many there are."""
        return await self._ask(self._searcher, lambda connection: cdr_lists.part(connection, walk))

    async def cdr_facets(self, search: CdrSearch) -> CdrFacets:
        """How many finished calls there are of which kind."""
        return await self._ask(self._searcher, lambda connection: cdr_lists.facets(connection, search))

    async def cdr_days(self, search: CdrSearch, zone: ZoneInfo) -> CdrDays:
        """How many finished calls began on which day in that zone."""
        return await self._ask(self._searcher, lambda connection: cdr_lists.days(connection, search, zone))

    async def exports(
        self, statuses: Collection[ExportStatus] = ALL_STATUSES, asked_until: datetime | None = None
    ) -> Sequence[Export]:
        """Those of these statuses, oldest first; with `asked_until` (aware) none that was asked for later."""
        of = json_in(sorted(statuses))
        return [export_of(row) for row in await self._read(EXPORTS, of, time_in(asked_until))]

    async def export(self, export_id: ExportId) -> Export | None:
        """One export."""
        found = await self._read(EXPORT, text_in(export_id))
        return export_of(found[0]) if found else None

    async def select(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        """What a statement of storage's own gives. Raises StoreError."""
        return await self._read(sql, *values)

    async def look_through(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        """As `select`, for what looks through a lot: it shares the connection of questions about finished calls."""
        bound = [text_in(value) if isinstance(value, str) else value for value in values]
        return await self._ask(self._searcher, lambda connection: connection.execute(sql, bound).fetchall())

    async def merge_search(self) -> None:
        """Make one piece of the index that searches look into: what was taken out of it stands in its older pieces.

        In steps with a pause after each, so that no commit waits long, another process's neither. Raises StoreError.
        """
        try:
            for pages in cdrs.merge_steps():
                if not await self._writer._execute(cdrs.merge, self._writer._conn, pages):  # type: ignore[no-untyped-call]  # noqa: SLF001
                    return
                await asyncio.sleep(_MERGE_PAUSE_S)
        except sqlite3.Error as error:
            raise store_error(error, self._path) from error

    async def clear_wal(self) -> bool:
        """Bring everything into the database's file and empty the WAL, where what was overwritten still stands.

        False where a reader kept that from being done. Raises StoreError.
        """
        try:
            ((busy, _, _),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise store_error(error, self._path) from error
        return not busy

    def _new_batch(self) -> Batch:
        return Batch(asyncio.get_running_loop().create_future())

    async def _kept(self, batch: Batch) -> None:
        if self._closing:
            raise StoreError(f"database {self._path}: it is closed", reason="closed", kept="no")
        if len(self._queue) >= _COMMITS_WAITING:
            raise StoreError(
                f"database {self._path}: {_COMMITS_WAITING} commits wait already: its disk is too slow or locked",
                reason="overloaded",
                kept="no",
            )
        self._queue.append(batch)
        self._wake.set()
        try:
            await asyncio.wait_for(batch.done, self._wait_s)
        except TimeoutError as error:
            raise StoreError(
                f"database {self._path}: no answer from its disk within {self._wait_s:g} s: check its load and `dmesg`",
                reason="timeout",
                kept="unknown" if batch.taken else "no",
            ) from error

    async def _write_all(self) -> None:
        while not self._closing or self._queue:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batches = [batch for batch in self._queue if not batch.done.done()]
                self._queue.clear()
                await self._settle(batches)
                await self._merge_some(batches)

    async def _merge_some(self, batches: Sequence[Batch]) -> None:
        self._unmerged += sum(bool(batch.cdrs or batch.sections) for batch in batches)
        if self._unmerged < _MERGE_EVERY:
            return
        self._unmerged = 0
        with contextlib.suppress(sqlite3.Error):  # another time, then
            await self._writer._execute(cdrs.merge_some, self._writer._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001

    async def _settle(self, batches: Sequence[Batch]) -> None:
        error = await self._try(batches)
        if error is None or len(batches) <= 1 or is_trouble(error):
            for batch in batches:
                self._answer(batch, error)
            return
        trouble: Exception | None = None
        for batch in batches:
            # Once the database itself is in trouble, the rest would only wait for the same.
            alone = trouble or await self._try([batch])
            if alone is not None and is_trouble(alone):
                trouble = alone
            self._answer(batch, alone)

    async def _try(self, batches: Sequence[Batch]) -> Exception | None:
        """One transaction; gives what went wrong, after which nothing of it is kept."""
        for batch in batches:
            batch.taken = True
        try:
            # One hop to aiosqlite's thread for all statements: each costs more than the disk does (1.1 ms, not 2 to 3).
            await self._writer._execute(_transact, self._writer._conn, batches)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except Exception as error:
            # sqlite3's own, or an OverflowError and the like for a value.
            return error
        return None

    def _answer(self, batch: Batch, error: Exception | None) -> None:
        if batch.done.done():
            return  # its caller has gone
        if error is None:
            batch.done.set_result(None)
        else:
            batch.done.set_exception(self._error(error))

    def _error(self, error: Exception) -> StoreError:
        made = store_error(error, self._path)
        made.details["kept"] = "no"
        return made

    async def _read(self, sql: str, *values: object) -> Sequence[sqlite3.Row]:
        try:
            bound = [text_in(value) if isinstance(value, str) else value for value in values]
            return await self._ask(self._reader, lambda connection: connection.execute(sql, bound).fetchall())
        except (OverflowError, UnicodeEncodeError):
            return []  # no row holds such a value

    async def _ask(self, reader: Reader, question: Callable[[sqlite3.Connection], _Found]) -> _Found:
        if self._closing:
            raise StoreError(f"database {self._path}: it is closed", reason="closed")
        return await reader.ask(question)
