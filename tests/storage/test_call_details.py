"""What is kept of a finished call beside its CDR: parties, notes, people's tags; and that it goes with them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.core.call_details import MOST_NOTES, MOST_TAGS, TooManyOnCallError
from bridge.core.cdrs import CdrFilter, CdrQuery, KeptCdr
from bridge.core.erasure import Person
from bridge.core.erasure_of_notes import holds
from bridge.core.ids import CallId, ChannelName, Identity, Uniqueid
from bridge.core.records import Fact, FactKind, Party
from bridge.core.retention import Hold, Target
from bridge.core.store import AddCdr, AppendFact, PutHold
from bridge.storage.call_details import SqliteCallBook
from bridge.storage.finished_calls import FinishedCalls
from bridge.storage.traces import rows_of
from tests.storage import kept
from tests.storage.databases import asked
from tests.storage.spools import DAY, House, house
from tests.storage.test_erasing import erase, in_files

ALICE, CAROL, EVE = Identity("alice"), Identity("carol"), Identity("eve")
THIRD = "+4915199887766"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        found.now = kept.NOON + 30 * DAY
        yield found


def party(n: int, name: str, number: str, identity: str | None = None) -> Party:
    return Party(
        uniqueid=Uniqueid(f"1.{n}"),
        channel=ChannelName(f"PJSIP/x-{n}"),
        name=name,
        number=number,
        identity=None if identity is None else Identity(identity),
        outside=identity is None,
        dialed=n > 1,
        began_at=kept.NOON + timedelta(seconds=n),
        answered_at=None if n == 3 else kept.NOON + timedelta(seconds=n + 1),
        ended_at=kept.NOON + timedelta(seconds=9),
        dial_status="NOANSWER" if n == 3 else "",
    )


PARTIES = (party(1, "Bob", "+4973112345"), party(2, "Alice", "822", "alice"), party(3, "Th\udcefrd", THIRD))


def book(here: House) -> SqliteCallBook:
    return SqliteCallBook(here.store, "pbx1", lambda: here.now)


async def a_call(here: House, name: str = "1.1", parties: tuple[Party, ...] = PARTIES) -> KeptCdr:
    cdr = replace(kept.cdr(name, ()), ended_at=kept.NOON + timedelta(seconds=10))
    await here.store.commit([AddCdr(cdr, parties)])
    numbers = (await here.store.cdr_numbers(CdrQuery(CdrFilter()))).numbers
    found = await here.store.cdr(max(numbers))
    assert found is not None
    return found


async def test_the_parties_of_a_call_are_read_as_they_were_kept(here: House) -> None:
    call = await a_call(here)
    await a_call(here, "2.1", ())
    assert tuple((await book(here).details(call)).kept.parties) == PARTIES
    assert asked(here.database, "SELECT DISTINCT systemname FROM cdr_parties") == [("pbx1",)]


async def test_a_tag_is_put_once_and_taken_off_by_anybody_and_each_is_a_fact(here: House) -> None:
    call, calls = await a_call(here), book(here)
    assert await calls.tag(call, "Beschwerde ü", ALICE)
    assert not await calls.tag(call, "Beschwerde ü", CAROL)
    (tag,) = (await calls.details(call)).tags
    assert (tag.tag, tag.by, tag.at) == ("Beschwerde ü", "alice", here.now)
    assert await calls.untag(call, "Beschwerde ü", CAROL)
    assert not await calls.untag(call, "Beschwerde ü", CAROL)
    (put,), (taken,) = await here.facts(FactKind.CALL_TAGGED), await here.facts(FactKind.CALL_UNTAGGED)
    assert (put.personal, put.data) == ({"identity": "alice", "tag": "Beschwerde ü"}, {"cdr": call.number})
    assert taken.personal == {"identity": "carol", "tag": "Beschwerde ü"}


async def test_notes_are_bounded_and_removed_for_good(here: House) -> None:
    call, calls = await a_call(here), book(here)
    notes = [await calls.note(call, f"note {n}", ALICE) for n in range(MOST_NOTES)]
    with pytest.raises(TooManyOnCallError):
        await calls.note(call, "one more", ALICE)
    assert list(await calls.notes(call.number)) == sorted(notes, key=lambda one: one.id)
    assert await calls.remove_note(call, notes[0].id, EVE)
    assert not await calls.remove_note(call, notes[0].id, EVE)
    (removed,) = await here.facts(FactKind.CALL_NOTE_REMOVED)
    assert (removed.personal, removed.data) == ({"identity": "eve"}, {"cdr": call.number, "note": notes[0].id})
    assert all("note 0" not in str(fact.data) for fact in await here.facts(FactKind.CALL_NOTED))


async def test_tags_of_people_are_bounded(here: House) -> None:
    call, calls = await a_call(here), book(here)
    for n in range(MOST_TAGS):
        assert await calls.tag(call, f"tag {n}", ALICE)
    with pytest.raises(TooManyOnCallError):
        await calls.tag(call, "one more", ALICE)
    assert not await calls.tag(call, "tag 3", ALICE)


async def test_a_call_that_goes_takes_parties_notes_and_tags_with_it(here: House) -> None:
    call, calls = await a_call(here), book(here)
    await calls.note(call, "about Wombat", ALICE)
    await calls.tag(call, "wombats", ALICE)
    finished = FinishedCalls(here.retention, "pbx1")
    assert await finished.delete([call.cdr.call_id], here.order()) == 1
    left = (
        "SELECT (SELECT count(*) FROM cdr_parties), (SELECT count(*) FROM cdr_notes), (SELECT count(*) FROM cdr_tags)"
    )
    assert asked(here.database, left) == [(0, 0, 0)]
    assert await here.erasing.clear()
    assert in_files(here, "Wombat", "wombats", THIRD) == []


async def test_somebody_who_was_only_reached_by_a_transfer_is_found_by_the_number_and_erased(here: House) -> None:
    call, calls = await a_call(here), book(here)
    await calls.note(call, "a long talk", ALICE)
    await calls.tag(call, "quokkas", ALICE)
    erased = await erase(here, Person(number=THIRD))
    assert (erased.calls, erased.left, erased.clean) == (1, 0, True)
    parties = (await calls.details(call)).kept.parties
    assert [(one.name, one.number, one.identity) for one in parties] == [
        ("Bob", "+4973112345", None),
        ("Alice", "822", "alice"),
        ("", "", None),
    ]
    # Free text about a call of theirs may be about them.
    details = await calls.details(call)
    assert (list(details.notes), list(details.tags)) == ([], [])
    assert in_files(here, THIRD, "a long talk", "quokkas") == []


async def test_a_hold_on_the_number_of_a_third_party_covers_the_call(here: House) -> None:
    call = await a_call(here)
    trace = (await rows_of(here.store, call.cdr.call_id)).trace()
    assert trace is not None
    assert THIRD in trace.numbers
    await here.store.commit([PutHold(Hold("h1", Target(number=THIRD), "eve", "a case", kept.NOON))])
    assert [one.id for one in (await book(here).details(call)).holds] == ["h1"]


async def test_who_wrote_about_others_calls_is_forgotten_and_the_calls_stay(here: House) -> None:
    call, calls = await a_call(here), book(here)
    await calls.note(call, "well done", EVE)
    await calls.tag(call, "good", EVE)
    erased = await erase(here, Person(identity=EVE))
    assert erased.calls == 0
    details = await calls.details(call)
    assert [(one.text, one.by) for one in details.notes] == [("well done", "")]
    assert [(one.tag, one.by) for one in details.tags] == [("good", "")]
    assert details.kept.parties[0].name == "Bob"
    assert asked(here.database, "SELECT count(*) FROM fact_personal WHERE value = 'eve' AND name = 'identity'") == [
        (0,)
    ]


async def test_a_note_on_anothers_call_that_holds_the_number_or_name_goes(here: House) -> None:
    theirs, other = await a_call(here), await a_call(here, "2.1", ())
    await here.store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, kept.NOON, theirs.cdr.call_id))])
    calls = book(here)
    await calls.note(other, "ask +49 151 / 998877-66 again", ALICE)
    await calls.tag(other, THIRD, ALICE)
    kept_note = await calls.note(other, "ask +49 151 000000 again", ALICE)
    await erase(here, Person(number=THIRD))
    details = await calls.details(other)
    assert ([one.id for one in details.notes], list(details.tags)) == ([kept_note.id], [])
    assert in_files(here, "998877-66", THIRD) == []


async def test_a_tag_that_was_taken_off_again_is_out_of_the_facts_too(here: House) -> None:
    other, calls = await a_call(here, "2.1", ()), book(here)
    for tag in (THIRD, "ask zorblax"):
        await calls.tag(other, tag, ALICE)
        await calls.untag(other, tag, ALICE)
    await erase(here, Person(number=THIRD))
    assert in_files(here, THIRD, "zorblax") == ["zorblax"]
    await erase(here, Person(identity=Identity("zorblax")))
    assert in_files(here, THIRD, "zorblax") == []


async def test_a_note_on_a_call_under_a_hold_waits(here: House) -> None:
    other, calls = await a_call(here, "2.1", ()), book(here)
    await calls.note(other, f"ask {THIRD}", ALICE)
    hold = Hold("h1", Target(call_id=CallId("2.1")), "eve", "a case", kept.NOON)
    await here.store.commit([PutHold(hold)])
    await erase(here, Person(number=THIRD))
    assert len(await calls.notes(other.number)) == 1
    (pending,) = await here.erasing.pending()
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    await here.erasing.work_off(pending)
    assert await calls.notes(other.number) == []
    assert await here.erasing.pending() == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("call (0731) 123-45 back", True),
        ("call 073112345", True),
        ("call 07311234", False),
        ("Zara Quokka is nice", True),
        ("zara\nquokka", True),
        ("Zar Quokkas", False),
        ("ask zara", True),
        ("bazaraar", False),
        ("", False),
    ],
)
def test_a_text_holds_a_person_by_number_name_or_identity(text: str, found: bool) -> None:
    zara = Person(identity=Identity("zara"), names=frozenset({"Zara Quokka"}), numbers=frozenset({"073112345"}))
    assert holds(text, zara) is found
