"""Erases a person: the recordings, and who it was, call by call; what must be kept is left, and erased later.

A request is kept before anything is done, with the calls that it is about; each call is done in one commit, which also
takes it off the list. So a crash loses nothing, and what a hold or a rule's `keep` covers goes once nothing covers it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from bridge.core.erasure import (
    Erasure,
    Person,
    personal_of,
    without_in_cdr,
    without_in_entry,
    without_in_section,
)
from bridge.core.ids import CallId, FactNumber
from bridge.core.records import Fact, FactKind, Section
from bridge.core.retention import Hold, Totals, covers, number_matches, totals_of
from bridge.core.store import AppendFact, Change, PutHold, PutSection
from bridge.storage import asked, call_people, rows, turns
from bridge.storage import holds as hold_rows
from bridge.storage import retention_sql as sql
from bridge.storage.export_rows import forgetting_owner
from bridge.storage.retention import Order, Plan, Retention, deletion, new_id
from bridge.storage.traces import KeptRows, rows_of
from bridge.storage.values import Row, text_in, texts_in

log = structlog.get_logger()

_CLEAR_TRIES = 40
_CLEAR_AGAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Erased:
    """What one run has done for a request: sections whose audio went, calls without the person, calls that are left.

    `clean`: what was erased is out of the database's files too.
    """

    totals: Totals
    calls: int
    left: int
    clean: bool

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(
            self.totals + other.totals, self.calls + other.calls, self.left + other.left, self.clean and other.clean
        )


class Erasing:
    """Finds a person and erases it, with a Retention's hands; `systemname` stamps the rows."""

    def __init__(self, retention: Retention, systemname: str) -> None:
        self._retention = retention
        self._store = retention.store
        self._systemname = systemname

    # Who, and where

    async def known(self, person: Person) -> Person:
        """The person with the names and numbers that the calls know of a user. Raises StoreError."""
        if person.identity is None:
            return person
        found = await self._store.select(sql.NAMES_OF_USER, person.identity)
        names = {row["name"] for row in found} | person.names
        numbers = {row["number"] for row in found} | person.numbers
        return replace(person, names=frozenset(names - {""}), numbers=frozenset(numbers - {""}))

    async def calls_of(self, person: Person) -> list[CallId]:
        """The calls that the person was in, running ones too. Raises StoreError."""
        if person.identity is not None:
            of_user = await self._store.select(sql.CALLS_OF_USER, person.identity)
            return sorted({CallId(row["call_id"]) for row in of_user})
        found = set()
        for row in await self._store.select(sql.NUMBERS):
            if person.has_number(row["number"]):
                found |= {one["call_id"] for one in await self._store.select(sql.CALLS_WITH_NUMBER, row["number"])}
        # A running call is forgotten when it is over: until then only the recorder knows all that are in it.
        for call in await self._store.running_calls():
            numbers = {number for one in call.channels for number in (one.number, one.exten, one.dialed_number)}
            if any(map(person.has_number, numbers)):
                found.add(call.call_id)
        return sorted(CallId(one) for one in found)

    async def sections_of(self, calls: Sequence[CallId]) -> list[Section]:
        """The sections of these calls. Raises StoreError."""
        found: dict[object, Section] = {}
        for call_id in calls:
            found |= {one.key: one for one in (await rows_of(self._store, call_id)).sections}
        return list(found.values())

    async def plan(self, person: Person) -> tuple[Plan, list[CallId]]:
        """What of the person's sections may go now, and the calls. Raises StoreError."""
        calls = await self.calls_of(person)
        return await self._retention.asked_for(await self.sections_of(calls)), calls

    # Requests

    async def ask(self, person: Person, calls: Sequence[CallId], who: str, why: str) -> Erasure:
        """Keep a request; from now on it is worked off, by us or by the daemon. Raises StoreError."""
        salt = secrets.token_bytes(16)
        erasure = Erasure(
            id=new_id(),
            person=person,
            who=who,
            why=why,
            asked_at=self._retention.clock(),
            salt=salt.hex(),
            digest=await asyncio.to_thread(digest, str(person.identity or person.number), salt),
        )
        await self._store.commit(
            [],
            rewrites=[
                (sql.PUT_ERASURE, [hold_rows.erasure_row(erasure, self._systemname)]),
                (sql.ADD_ERASURE_CALL, [self._call_row(erasure, one) for one in calls]),
            ],
        )
        return erasure

    async def pending(self) -> list[Erasure]:
        """The requests that are not done, oldest first. Raises StoreError."""
        return [hold_rows.erasure_of(row) for row in await self._store.select(sql.ERASURES)]

    async def with_pending(self, plan: Plan) -> Plan:
        """What would go by a plan, and by all requests that wait: what one run deletes. Raises StoreError."""
        whole = replace(plan, going=list(plan.going), held=plan.held.copy())
        going, holds = set(plan.going), await self._retention.holds()
        for erasure in await self.pending():
            for section in await self.sections_of(await self.calls_left(erasure)):
                verdict = await self._retention.judged(section, holds, timedelta(0))
                if verdict.may_go and section.key not in going:
                    going.add(section.key)
                    whole.add(section, verdict)
        return whole

    async def calls_left(self, erasure: Erasure) -> list[CallId]:
        """The calls in which something still kept the person when it was last looked. Raises StoreError."""
        return [CallId(row["call_id"]) for row in await self._store.select(sql.ERASURE_CALLS, erasure.id)]

    async def work_off(self, erasure: Erasure, pause_s: float = 0.0) -> Erased:
        """Erase what may be erased now. Raises StoreError."""
        calls = await self.calls_left(erasure)
        totals, done = Totals(), 0
        for call_id in calls:
            async with turns.batch_turn(self._retention.database):
                deleted, over = await self._erase_call(erasure, call_id)
            await self._retention.unlink(deleted)
            totals += totals_of(deleted)
            done += over
            await asyncio.sleep(pause_s)
        finished = done == len(calls) and await self._forget_elsewhere(erasure.person)
        if done or finished:
            # Before it counts as done: what a crash leaves here is looked at again.
            await self._store.merge_search()
        if done or totals.count or finished:
            await self._note(erasure, totals, done, len(calls) - done, finished=finished)
        if not done and not finished:
            return Erased(totals, done, len(calls) - done, clean=True)
        return Erased(totals, done, len(calls) - done, await self.clear())

    def _call_row(self, erasure: Erasure, call_id: CallId) -> Row:
        return texts_in({"erasure": erasure.id, "call_id": call_id, "systemname": self._systemname})

    async def _erase_call(self, erasure: Erasure, call_id: CallId) -> tuple[list[Section], bool]:
        """One commit for what of a call may go; gives the sections whose files are next, and whether it was all."""
        kept = await rows_of(self._store, call_id)
        holds = await self._retention.holds()
        order = Order("erasure", erasure.who, erasure.why, timedelta(0))
        verdicts = [(one, await self._retention.judged(one, holds, order.keep)) for one in kept.sections]
        going = [one for one, verdict in verdicts if verdict.may_go]
        over = not kept.runs and all(one.deleted_at is not None or verdict.may_go for one, verdict in verdicts)
        over = over and not _is_held(kept, holds)
        now, person = self._retention.clock(), erasure.person
        changes: list[Change] = []
        for section in going:
            fact, tombstone = deletion(section, order, now)
            changes += [fact, PutSection(without_in_section(tombstone.section, person)) if over else tombstone]
        rewrites: list[tuple[str, Sequence[Row]]] = []
        if over:
            gone = {one.key for one in going}
            changes += [PutSection(without_in_section(one, person)) for one in kept.sections if one.key not in gone]
            found = [row for one in kept.call_ids for row in await self._store.select(asked.ASKED_OF_CALL, one)]
            rewrites = [*_rewrites(kept, person), asked.erasing_asked(found, person)]
            rewrites += await call_people.erasing_from_calls(self._store, list(kept.cdrs), person)
            rewrites.append((sql.END_ERASURE_CALL, [self._call_row(erasure, call_id)]))
        if changes or rewrites:
            await self._store.commit(changes, rewrites=rewrites)
        return going, over

    async def _forget_elsewhere(self, person: Person) -> bool:
        """What names the person outside its calls: its flags, holds that are over, kept rules, what it has listened to,
        notes and tags that name it or that it has written.

        False where a hold in force names it, or is on a call that it has listened to, or that such a text is about.
        """
        naming = [hold for hold in await self._store.holds() if _names(hold, person)]
        if any(hold.released_at is None for hold in naming):
            return False
        personal: dict[FactNumber, dict[str, str]] = {}
        listened = await self._store.select(sql.LISTENED, person.identity) if person.identity is not None else []
        written = await call_people.naming(self._store, person)
        holds = await self._retention.holds()
        about = {*(CallId(row["call_id"]) for row in listened), *written.calls()}
        for call_id in sorted(about if holds else ()):
            if _is_held(await rows_of(self._store, call_id), holds):
                return False
        for row in [*await self._store.select(sql.PERSONAL_OF_NO_CALL), *listened]:
            personal.setdefault(FactNumber(row["number"]), {})[row["name"]] = row["value"]
        unnamed = [replace(hold, target=replace(hold.target, number=None, identity=None)) for hold in naming]
        rewrites: list[tuple[str, Sequence[Row]]] = [(sql.ERASE_PERSONAL, _personal_rows(personal, person))]
        if person.identity is not None:
            rewrites.append((sql.FORGET_FLAGS, [{"identity": text_in(person.identity)}]))
        for export in await self._store.exports():
            if person.is_user(export.owner):
                rewrites += forgetting_owner(export.id)
        rewrites.append(asked.erasing_rules(await self._store.select(asked.ALL_RULES), person))
        rewrites += call_people.erasing_elsewhere(written, person, sql.ERASE_PERSONAL)
        await self._store.commit([PutHold(hold) for hold in unnamed], rewrites=rewrites)
        return True

    async def _note(self, erasure: Erasure, totals: Totals, calls: int, left: int, *, finished: bool) -> None:
        """The tombstone; of a request that is done nothing else stays."""
        now = self._retention.clock()
        data = {
            "erasure": erasure.id,
            "salt": erasure.salt,
            "digest": erasure.digest,
            "of": "number" if erasure.person.identity is None else "user",
            "sections": totals.count,
            "bytes": totals.size_bytes,
            "calls": calls,
            "left": left,
            "done": finished,
        }
        words = {"who": erasure.who, "words": erasure.why}
        rewrites: list[tuple[str, Sequence[Row]]] = []
        if finished:
            over = replace(erasure, person=Person(), done_at=now)
            rewrites = [(sql.PUT_ERASURE, [hold_rows.erasure_row(over, self._systemname)])]
        fact = Fact(FactKind.PERSON_ERASED, now, data=data, personal=words)
        await self._store.commit([AppendFact(fact)], rewrites=rewrites)
        log.info("person-erased", erasure=erasure.id, sections=totals.count, calls=calls, left=left)

    async def clear(self) -> bool:
        """Bring what was erased into the file itself: what is overwritten there still stands in the WAL.

        False where something kept that from being done. Raises StoreError.
        """
        for _ in range(_CLEAR_TRIES):
            if await self._store.clear_wal():
                return True
            await asyncio.sleep(_CLEAR_AGAIN_S)
        log.error("wal-not-cleared", remedy="stop what reads the database, or restart recbridge")
        return False


def digest(value: str, salt: bytes) -> str:
    """What a request is known by once its person is forgotten: slow on purpose, as there are few numbers to guess."""
    return hashlib.scrypt(value.encode("utf-8", "surrogateescape"), salt=salt, n=2**14, r=8, p=1).hex()


def _is_held(kept: KeptRows, holds: Sequence[Hold]) -> bool:
    trace = kept.trace()
    return trace is not None and any(covers(hold, trace) for hold in holds)


def _names(hold: Hold, person: Person) -> bool:
    number, identity = hold.target.number, hold.target.identity
    if person.is_user(identity):
        return True
    return number is not None and (
        person.has_number(number)
        or number == person.number
        or any(number_matches(number, (one,)) for one in person.numbers)
    )


def _personal_rows(personal: dict[FactNumber, dict[str, str]], person: Person) -> list[Row]:
    return [
        {"fact": number, "name": text_in(name)}
        for number, values in personal.items()
        for name in personal_of(values, person)
    ]


def _rewrites(kept: KeptRows, person: Person) -> list[tuple[str, Sequence[Row]]]:
    """What is kept of a call, without the person."""
    entries = [(one.number, without_in_entry(one.entry, person)) for one in kept.entries]
    cdrs = [(number, without_in_cdr(cdr, person)) for number, cdr in kept.cdrs.items()]
    rewrites: list[tuple[str, Sequence[Row]]] = [
        (sql.ERASE_PERSONAL, _personal_rows(kept.personal, person)),
        (sql.REWRITE_ENTRY, [{**rows.entry_row(entry, ""), "id": number} for number, entry in entries]),
        (sql.REWRITE_CDR, [{**rows.cdr_row(cdr, ""), "id": number} for number, cdr in cdrs]),
    ]
    if person.identity is not None:
        identity = text_in(person.identity)
        rewrites.append((sql.FORGET_CDR_PARTICIPANT, [{"id": number, "identity": identity} for number, _ in cdrs]))
        of_calls = [{"call_id": text_in(one), "identity": identity} for one in sorted(kept.call_ids)]
        rewrites += [(sql.FORGET_DEMANDS, of_calls), (sql.FORGET_PAUSES, of_calls)]
    return rewrites
