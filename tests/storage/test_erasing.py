"""Erasing a person: everywhere, down to the bytes of the database's files; what must be kept waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core.cdrs import CdrFilter, CdrQuery
from bridge.core.erasure import Person
from bridge.core.errors import StoreError
from bridge.core.ids import CallId, ChannelName, Identity, Linkedid, RecordId, SectionKey, Uniqueid
from bridge.core.kept import KeptCall, KeptChannel
from bridge.core.people import UserFlags
from bridge.core.records import Cdr, Fact, FactKind, JournalEntry, SectionState
from bridge.core.retention import Hold, Target
from bridge.core.store import AppendFact, EndCall, PutCall, PutDemand, PutHold, PutPause, PutUserFlags
from bridge.storage import database
from bridge.storage.erasing import Erased, digest
from bridge.storage.verify import verify
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.spools import DAY, House, house

NUMBER, NAME = "+4973199887766", "Zacharias Quokka"
OUTSIDER = Person(number="+49 731 998877 66")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def at_call(n: int) -> tuple[CallId, RecordId]:
    return CallId(f"{n}.1"), RecordId(f"{n}-1_{n}-2")


async def a_call(here: House, n: int, number: str = NUMBER, name: str = NAME, **section: Any) -> SectionKey:
    """An inbound call to alice, recorded by rule 1."""
    call_id, record_id = at_call(n)
    cdr: Cdr = replace(kept.cdr(call_id, (record_id,)), source_number=number, source_name=name, dialed="4930556")
    entry: JournalEntry = replace(kept.entry("alice", call_id, record_id), number=number, name=name)
    await here.call(cdr, entry)
    made = await here.section(
        1, record_id=record_id, call_id=call_id, path=f"2026/08/01/{record_id}_1_001.wav",
        participants=(Identity("alice"),), **section,
    )  # fmt: skip
    return made.key


async def erase(here: House, person: Person) -> Erased:
    person = await here.erasing.known(person)
    _, calls = await here.erasing.plan(person)
    return await here.erasing.work_off(await here.erasing.ask(person, calls, "eve", "asked for it"))


def in_files(here: House, *values: str) -> list[str]:
    """Which of these stand in the database, its WAL or its shared memory."""
    files = [file.read_bytes() for file in here.folder.iterdir() if file.is_file()]
    assert len(files) >= 3
    return [value for value in values if any(value.encode() in content for content in files)]


async def test_of_somebody_outside_nothing_is_left_in_the_files(here: House) -> None:
    for n in range(1, 200):
        # Long and short rows, so that pages are split and moved while they hold the value.
        other = n % 3 != 0
        number, name = (f"+4989{n:06}" * (n % 7 + 1), "Maier" * (n % 11)) if other else (NUMBER, NAME)
        await a_call(here, n, number, name)
    assert in_files(here, NUMBER, NAME) == [NUMBER, NAME]
    plan, calls = await here.erasing.plan(OUTSIDER)
    assert (len(plan.going), len(calls)) == (66, 66)
    erased = await erase(here, OUTSIDER)
    assert (erased.totals.count, erased.calls, erased.left, erased.clean) == (66, 66, 0, True)
    assert in_files(here, NUMBER, NAME, OUTSIDER.number or "") == []
    assert len(here.files()) == 199 - 66
    entries = await here.store.journal(None, 1000)
    assert len([one for one in entries if (one.entry.name, one.entry.number) == ("", "")]) == 66
    assert len([one for one in entries if one.entry.number.startswith("+4989")]) == 133
    assert await here.erasing.pending() == []


async def test_no_search_finds_who_is_erased_nor_do_pieces_of_its_index_hold_it(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_MERGE_EVERY", 1000)  # else some may be one already
    for n in range(1, 9):
        await a_call(here, n, *(("+4989123456", "Maier") if n % 2 else (NUMBER, NAME)))
    pieces = "SELECT count(DISTINCT segid) FROM cdr_search_idx"
    assert asked(here.database, pieces) == [(8,)]
    await erase(here, OUTSIDER)
    found = [await here.store.cdrs(CdrQuery(CdrFilter(search=text))) for text in ("quokka", "maier")]
    assert [page.filtered for page in found] == [0, 4]
    assert (await here.store.cdrs(CdrQuery(CdrFilter(number="_8877_")))).filtered == 0
    # What was taken out of one piece is noted in a later one, until they are made into one.
    assert asked(here.database, pieces) == [(1,)]


async def test_a_request_is_not_done_before_the_person_is_out_of_the_index(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in (1, 2):
        await a_call(here, n)
    await a_call(here, 3, "+4989123456", "Maier")

    async def killed() -> None:
        raise StoreError("killed", reason="locked")

    with monkeypatch.context() as patched:
        patched.setattr(here.store, "merge_search", killed)
        with pytest.raises(StoreError, match="killed"):
            await erase(here, OUTSIDER)
    (left,) = await here.erasing.pending()
    assert (await here.erasing.work_off(left)).clean
    assert asked(here.database, "SELECT count(DISTINCT segid) FROM cdr_search_idx") == [(1,)]
    assert await here.erasing.pending() == []


async def test_the_tombstone_says_who_why_and_how_much_and_is_found_again_by_who_knows_the_name(here: House) -> None:
    await a_call(here, 1)
    await erase(here, OUTSIDER)
    (fact,) = await here.facts(FactKind.PERSON_ERASED)
    assert fact.personal == {"who": "eve", "words": "asked for it"}
    data = dict(fact.data)
    salt = bytes.fromhex(data.pop("salt"))
    assert data.pop("digest") == digest(str(OUTSIDER.number), salt)
    assert data.pop("erasure")
    assert data == {"of": "number", "sections": 1, "bytes": 100, "calls": 1, "left": 0, "done": True}
    (deleted,) = await here.facts(FactKind.SECTION_DELETED)
    assert (deleted.data["why"], deleted.personal["who"]) == ("erasure", "eve")


async def test_a_number_that_was_dialled_goes_too(here: House) -> None:
    call_id, record_id = at_call(1)
    cdr = replace(
        kept.cdr(call_id, (record_id,)), source_number="822", source_name="Alice", source_identity=Identity("alice"),
        destination_number=NUMBER, destination_name=NAME, destination_identity=None, dialed=NUMBER,
    )  # fmt: skip
    await here.call(cdr, replace(kept.entry("alice", call_id), number=NUMBER, name=""))
    await erase(here, OUTSIDER)
    assert in_files(here, NUMBER, NAME) == []
    assert asked(here.database, "SELECT source_name, source_identity, dialed FROM cdrs") == [("Alice", "alice", "")]


async def test_of_a_user_names_numbers_and_wishes_go_and_the_others_stay(here: House) -> None:
    zara = Identity("zara")
    call_id, record_id = at_call(1)
    cdr = replace(
        kept.cdr(call_id, (record_id,)), destination_name=NAME, destination_number="99887", destination_identity=zara,
        participants=(zara, Identity("bob")),
    )  # fmt: skip
    own = replace(
        kept.entry("zara", call_id, record_id), extension="99887", device_name=f"Snom [{NAME}]", location_name=NAME
    )
    bobs = replace(kept.entry("bob", call_id, record_id), name=NAME, number="99887", extension="823")
    await here.call(cdr, own, bobs)
    section = await here.section(
        1, record_id=record_id, call_id=call_id, path=f"2026/08/01/{record_id}_1_001.wav", owner=zara,
        participants=(zara, Identity("bob")),
    )  # fmt: skip
    flags = Fact(FactKind.USER_FLAGS_SET, kept.NOON, call_id=call_id, personal={"identity": zara})
    await here.store.commit(
        [
            PutUserFlags(zara, UserFlags()),
            PutUserFlags(Identity("bob"), UserFlags()),
            PutDemand(kept.demand(1, owner=zara, call_id=call_id)),
            PutPause(kept.pause("zara", call_id=call_id)),
            AppendFact(flags),
        ]
    )
    await erase(here, Person(identity=zara))
    assert in_files(here, NAME, "99887") == []
    assert here.files() == []
    tombstone = await here.store.section(section.key)
    assert tombstone is not None
    assert (tombstone.owner, tombstone.participants) == (None, (Identity("bob"),))
    assert set(await here.store.user_flags()) == {"bob"}
    assert (list(await here.store.demands()), list(await here.store.pauses())) == ([], [])
    assert asked(here.database, "SELECT identity FROM cdr_participants") == [("bob",)]
    assert asked(here.database, "SELECT identity, user_id, extension, number FROM journal ORDER BY id") == [
        ("", "", "", "+4973112345"),
        ("bob", "7", "823", ""),
    ]
    assert asked(here.database, "SELECT count(*) FROM fact_personal WHERE value = 'zara'") == [(0,)]


async def test_what_a_hold_covers_waits_and_goes_when_it_is_released(here: House) -> None:
    first, second = await a_call(here, 1), await a_call(here, 2)
    hold = Hold("h1", Target(call_id=at_call(1)[0]), "eve", "a case", kept.NOON)
    await here.store.commit([PutHold(hold)])
    erased = await erase(here, OUTSIDER)
    assert (erased.calls, erased.left) == (1, 1)
    assert here.files() == [f"2026/08/01/{first.record_id}_1_001.wav"]
    assert in_files(here, NUMBER) == [NUMBER]
    (pending,) = await here.erasing.pending()
    assert await here.erasing.calls_left(pending) == [at_call(1)[0]]
    assert (await here.erasing.work_off(pending)).calls == 0
    assert len(await here.facts(FactKind.PERSON_ERASED)) == 1
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    assert (await here.erasing.work_off(pending)).left == 0
    assert (here.files(), in_files(here, NUMBER, NAME)) == ([], [])
    assert [fact.data["done"] for fact in await here.facts(FactKind.PERSON_ERASED)] == [False, True]
    assert [fact.record_id for fact in await here.facts(FactKind.SECTION_DELETED)] == [
        second.record_id,
        first.record_id,
    ]


async def test_what_a_rule_keeps_waits_until_its_time_is_over(here: House) -> None:
    key = await a_call(here, 1, keep_s=(3 * DAY).total_seconds())
    plan, _ = await here.erasing.plan(OUTSIDER)
    assert (plan.going, plan.kept, plan.kept_until) == ([], 1, kept.NOON + timedelta(seconds=1) + 3 * DAY)
    assert (await erase(here, OUTSIDER)).left == 1
    section = await here.store.section(key)
    assert section is not None
    assert section.deleted_at is None
    here.now += 2 * DAY
    (pending,) = await here.erasing.pending()
    assert (await here.erasing.work_off(pending)).left == 0
    assert (here.files(), in_files(here, NUMBER, NAME)) == ([], [])


async def test_a_running_call_waits_until_it_is_over(here: House) -> None:
    key = await a_call(here, 1, state=SectionState.RECORDING, report=None)
    assert (await erase(here, OUTSIDER)).left == 1
    section = await here.store.section(key)
    assert section is not None
    assert section.deleted_at is None


async def test_of_a_call_that_still_runs_without_a_recording_nothing_is_forgotten_before_its_end(here: House) -> None:
    kept_call = running_call(NUMBER)
    talk = Fact(FactKind.TALK_BEGAN, kept.NOON, call_id=kept_call.call_id, audience=(Identity("zara"),))
    await here.store.commit([PutCall(kept_call), AppendFact(talk)])
    for person in (OUTSIDER, Person(identity=Identity("zara"))):
        assert (await erase(here, person)).left == 1
    await here.call(replace(kept.cdr(kept_call.call_id, ()), source_number=NUMBER, source_name=NAME))
    await here.store.commit([EndCall(kept_call.call_id)])
    for pending in await here.erasing.pending():
        assert (await here.erasing.work_off(pending)).left == 0
    assert in_files(here, NUMBER, NAME) == []


async def test_of_calls_that_became_one_all_recordings_go(here: House) -> None:
    """The number was in the younger call alone, whose CDR is the older one's."""
    gone, record = CallId("8.8"), RecordId("8-8_8-9")
    began = Fact(FactKind.CALL_BEGAN, kept.NOON, call_id=gone, personal={"number": NUMBER, "name": NAME})
    joined = Fact(FactKind.CALL_JOINED, kept.NOON, call_id=kept.CALL, data={"joined": gone})
    await here.store.commit([AppendFact(began), AppendFact(joined)])
    await here.section(1, record_id=record, call_id=gone, path=f"2026/08/01/{record}_1_001.wav")
    await here.section(1)
    await here.call(kept.cdr(record_ids=(kept.RECORD, record)))
    assert (await erase(here, OUTSIDER)).left == 0
    assert (here.files(), in_files(here, NUMBER, NAME)) == ([], [])


def running_call(number: str) -> KeptCall:
    channel = KeptChannel(
        uniqueid=Uniqueid("7.1"),
        linkedid=Linkedid("7.1"),
        name=ChannelName("PJSIP/trunk-00000001"),
        number=number,
        caller_name=NAME,
        context="from-trunk",
        exten="822",
        began_at=kept.NOON,
        answered_at=None,
        ended_at=None,
        cause=None,
        dialed=False,
        dialed_by=None,
        dialed_number="",
        dial_string="",
        dial_status="",
        queue="",
        held=False,
        left_by=(),
        talking_since=None,
        connected_s=0.0,
        talked_with=(),
    )
    return KeptCall(CallId("7.1"), kept.NOON, "", {}, 0.0, None, (), (channel,), (), ())


async def test_a_hold_on_the_person_is_a_reason_to_keep_who_it_is_about(here: House) -> None:
    await a_call(here, 1)
    hold = Hold("h1", Target(number=NUMBER), "eve", "a case", kept.NOON)
    fact = Fact(FactKind.HOLD_SET, kept.NOON, personal={"number": NUMBER, "who": "eve"})
    await here.store.commit([PutHold(hold), AppendFact(fact)])
    assert (await erase(here, OUTSIDER)).left == 1
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    (pending,) = await here.erasing.pending()
    assert (await here.erasing.work_off(pending)).left == 0
    assert in_files(here, NUMBER, NAME) == []
    (released,) = await here.store.holds()
    assert (released.target, released.why) == (Target(), "a case")


async def test_another_process_may_read_meanwhile_and_the_wal_is_emptied_all_the_same(here: House) -> None:
    for n in range(1, 30):
        await a_call(here, n)
    async with house(here.folder) as daemon:

        async def read_on() -> None:
            while True:
                await daemon.store.journal(None, 1000)

        reading = asyncio.create_task(read_on())
        assert (await erase(here, OUTSIDER)).clean
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert in_files(here, NUMBER, NAME) == []


async def test_what_died_in_the_middle_is_done_by_the_next_run(here: House) -> None:
    for n in range(1, 6):
        await a_call(here, n)
    person = await here.erasing.known(OUTSIDER)
    _, calls = await here.erasing.plan(person)
    erasure = await here.erasing.ask(person, calls, "eve", "asked for it")
    await here.erasing._erase_call(erasure, calls[0])
    async with house(here.folder) as restarted:
        await restarted.retention.finish()
        (pending,) = await restarted.erasing.pending()
        assert (await restarted.erasing.work_off(pending)).left == 0
    assert (here.files(), in_files(here, NUMBER, NAME)) == ([], [])
    assert len(await here.facts(FactKind.SECTION_DELETED)) == 5


async def test_facts_keep_their_number_kind_and_data(here: House) -> None:
    await a_call(here, 1)
    columns = "SELECT number, kind, at, call_id, record_id, rule_id, file, data, audience FROM facts ORDER BY number"
    before = asked(here.database, columns)
    await erase(here, OUTSIDER)
    assert asked(here.database, columns)[: len(before)] == before
    assert NUMBER not in json.dumps(asked(here.database, "SELECT data FROM facts"))


async def test_the_chain_still_fits(here: House) -> None:
    for n in range(1, 4):
        await a_call(here, n, NUMBER if n < 3 else "+33")
    before = verify(here.database, None)
    assert (before.first, before.erased) == (None, 0)
    await erase(here, OUTSIDER)
    after = verify(here.database, None, expected=[before.head])
    assert (after.first, after.deleted) == (None, 2)
    assert after.erased > 0


def listening(here: House, n: int, who: str, kind: FactKind = FactKind.RECORDING_PLAYED) -> AppendFact:
    call_id, record_id = at_call(n)
    personal = {"identity": who}
    return AppendFact(
        Fact(kind, here.now, call_id, record_id, file=1, personal=personal, audience=(Identity("alice"),))
    )


async def test_who_has_listened_is_forgotten_and_the_recordings_of_others_stay(here: House) -> None:
    await a_call(here, 1)
    await a_call(here, 2)
    kinds = (FactKind.RECORDING_PLAYED, FactKind.RECORDING_DOWNLOADED)
    await here.store.commit(
        [listening(here, n, who, kind) for n in (1, 2) for who in ("carol", "bob") for kind in kinds]
    )
    plan, calls = await here.erasing.plan(Person(identity=Identity("carol")))
    assert (plan.going, calls) == ([], [])
    await erase(here, Person(identity=Identity("carol")))
    assert len(here.files()) == 2
    for kind in kinds:
        assert [one.personal.get("identity") for one in await here.facts(kind)] == [None, "bob", None, "bob"]
    assert in_files(here, "carol") == []
    assert await here.erasing.pending() == []


async def test_who_is_recorded_is_erased_and_who_has_listened_stays(here: House) -> None:
    await a_call(here, 1)
    await here.store.commit([listening(here, 1, "carol"), listening(here, 1, "alice")])
    await erase(here, Person(identity=Identity("alice")))
    assert here.files() == []
    assert [one.personal for one in await here.facts(FactKind.RECORDING_PLAYED)] == [{"identity": "carol"}, {}]


async def test_who_has_listened_to_what_a_hold_covers_is_kept_until_it_is_released(here: House) -> None:
    await a_call(here, 1)
    await here.store.commit([listening(here, 1, "carol")])
    hold = Hold("h1", Target(call_id=at_call(1)[0]), "root", "in court", here.now)
    await here.store.commit([PutHold(hold)])
    await erase(here, Person(identity=Identity("carol")))
    assert [one.personal for one in await here.facts(FactKind.RECORDING_PLAYED)] == [{"identity": "carol"}]
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    (waiting,) = await here.erasing.pending()
    await here.erasing.work_off(waiting)
    assert [one.personal for one in await here.facts(FactKind.RECORDING_PLAYED)] == [{}]
    assert len(here.files()) == 1
