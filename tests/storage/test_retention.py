"""Deleting: first the commit, then the files; nothing under a hold, nothing outside the spool, nothing twice."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from bridge.core.errors import MediaError, StoreError
from bridge.core.ids import CallId, Identity, RecordId
from bridge.core.records import Fact, FactKind, SectionState
from bridge.core.retention import Hold, Target, Totals
from bridge.core.store import AppendFact, PutDemand, PutHold, PutPause, PutSection
from bridge.storage import orphans
from bridge.storage.turns import batch_turn, run_turn
from tests.storage import kept
from tests.storage.spools import AUDIO, DAY, House, house


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def a_hold(**target: object) -> Hold:
    return Hold("h1", Target(**target), "eve", "a case", kept.NOON)  # type: ignore[arg-type]


async def test_what_is_over_its_time_goes_with_its_parts_and_leaves_a_tombstone(here: House) -> None:
    old = await here.section(1, parts=("_r.wav", "_t.wav"), stereo=True, participants=(Identity("alice"),))
    young = await here.section(2, ended_at=here.now - DAY / 2)
    plan = await here.retention.expired(DAY)
    assert (plan.going, plan.totals) == ([old.key], Totals(1, len(AUDIO)))
    assert (plan.kept, plan.oldest, plan.newest) == (0, kept.NOON, kept.NOON)
    assert await here.retention.delete(plan.going, here.order()) == plan.totals
    assert here.files() == [young.path]
    tombstone = await here.store.section(old.key)
    assert tombstone is not None
    assert old.report is not None
    assert tombstone == replace(old, deleted_at=here.now, report=replace(old.report, peaks=b""))
    (fact,) = await here.facts(FactKind.SECTION_DELETED)
    assert (fact.record_id, fact.rule_id, fact.file, fact.call_id) == (*old.key, old.call_id)
    assert fact.data == {
        "why": "retention", "path": old.path, "sha256": f"{1:064x}", "size": len(AUDIO), "state": "stored",
        "duration_s": old.report.duration_s, "requested_at": old.requested_at.isoformat(),
    }  # fmt: skip
    assert fact.personal["who"] == "recbridge"
    assert (await here.retention.expired(DAY)).going == []
    assert await here.retention.stored() == Totals(1, len(AUDIO))


async def test_an_open_section_stays_and_a_lost_one_goes(here: House) -> None:
    await here.section(1, state=SectionState.RECORDING, report=None)
    lost = await here.section(2, state=SectionState.LOST, report=None, ended_at=None)
    assert (await here.retention.expired(DAY)).going == [lost.key]


async def test_the_rules_own_keep_counts(here: House) -> None:
    long = await here.section(1, keep_s=(10 * DAY).total_seconds())
    short = await here.section(2, keep_s=3600.0, ended_at=here.now - DAY / 2)
    assert (await here.retention.expired(DAY)).going == [short.key]
    plan = await here.retention.asked_for([long, short])
    assert (plan.going, plan.kept, plan.kept_until) == ([short.key], 1, kept.NOON + timedelta(seconds=1) + 10 * DAY)


@pytest.mark.parametrize(
    "target",
    [
        {"number": "+49 731 12345"},
        {"number": "*12345"},
        {"identity": Identity("alice")},
        {"call_id": kept.CALL},
        {"record_id": kept.RECORD},
        {"since": kept.NOON - DAY, "until": kept.NOON},
    ],
)
async def test_a_hold_keeps_what_it_covers_until_it_is_released(here: House, target: dict[str, object]) -> None:
    await here.call(kept.cdr(), kept.entry())
    held = await here.section(1)
    other = await here.section(
        1,
        record_id=RecordId("9-9_9-8"),
        call_id=CallId("9.9"),
        path="2026/08/01/9-9_9-8_1_001.wav",
        started_at=kept.NOON + DAY / 4,
        requested_at=kept.NOON + DAY / 4,
        ended_at=kept.NOON + DAY / 2,
    )
    await here.call(
        replace(kept.cdr("9.9", ("9-9_9-8",)), source_number="1", participants=(), started_at=kept.NOON + DAY / 4,
                ended_at=kept.NOON + DAY / 2)
    )  # fmt: skip
    before = await here.retention.expired(DAY)
    assert set(before.going) == {held.key, other.key}
    hold = a_hold(**target)
    await here.store.commit([PutHold(hold)])
    plan = await here.retention.expired(DAY)
    assert (plan.going, dict(plan.held)) == ([other.key], {"h1": 1})
    # Also where the hold came after somebody had looked.
    await here.retention.delete(before.going, here.order())
    assert here.files() == [held.path]
    await here.store.commit([PutHold(replace(hold, released_at=here.now, released_by="eve", released_why="over"))])
    assert (await here.retention.expired(DAY)).going == [held.key]


async def test_a_call_that_was_joined_with_another_is_covered_by_its_numbers(here: House) -> None:
    joined = await here.section(
        1, record_id=RecordId("8-8_8-9"), call_id=CallId("8.8"), path="2026/08/01/8-8_8-9_1_001.wav"
    )
    await here.call(kept.cdr(record_ids=(kept.RECORD, "8-8_8-9")))
    await here.store.commit([PutHold(a_hold(number="+4973112345"))])
    assert (await here.retention.asked_for([joined])).held == {"h1": 1}


@pytest.mark.parametrize("target", [{"call_id": kept.CALL}, {"record_id": kept.RECORD}])
async def test_a_call_that_has_become_another_which_still_runs_is_covered_by_that_ones_holds(
    here: House, target: dict[str, object]
) -> None:
    gone = CallId("8.8")
    await here.section(1)
    section = await here.section(1, record_id=RecordId("8-8_8-9"), call_id=gone, path="2026/08/01/8-8_8-9_1_001.wav")
    joined = Fact(FactKind.CALL_JOINED, kept.NOON, call_id=kept.CALL, data={"joined": gone})
    await here.store.commit([AppendFact(joined), PutHold(a_hold(**target))])
    assert (await here.retention.asked_for([section])).held == {"h1": 1}


async def test_a_call_without_its_cdr_began_with_its_first_fact(here: House) -> None:
    """It rang before it was recorded."""
    section = await here.section(1)
    rang = Fact(FactKind.CALL_BEGAN, kept.NOON - timedelta(minutes=5), call_id=kept.CALL)
    await here.store.commit([AppendFact(rang), PutHold(a_hold(until=kept.NOON - timedelta(minutes=3)))])
    assert (await here.retention.asked_for([section])).held == {"h1": 1}


async def test_a_section_whose_call_is_not_known_yet_is_kept_by_any_number(here: House) -> None:
    section = await here.section(1)
    await here.store.commit([PutHold(a_hold(number="+33"))])
    assert (await here.retention.asked_for([section])).held == {"h1": 1}
    await here.call(kept.cdr())
    assert (await here.retention.asked_for([section])).going == [section.key]


async def test_a_hold_waits_for_the_batch_in_hand_and_is_asked_by_the_next(here: House) -> None:
    section = await here.section(1)
    async with batch_turn(here.database):
        await here.store.commit([PutHold(a_hold(record_id=kept.RECORD))])
        with pytest.raises(StoreError) as caught:
            async with batch_turn(here.database, 0.1):
                pass
        assert caught.value.details["reason"] == "busy"
    assert await here.retention.delete([section.key], here.order()) == Totals()
    assert here.files() == [section.path]


class _Died(BaseException):
    pass


async def test_what_died_between_the_commit_and_the_files_is_finished_by_the_next_run(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = await here.section(1, parts=("_r.wav",))

    async def die(_: object) -> int:
        raise _Died

    with monkeypatch.context() as patch:
        patch.setattr(here.retention, "unlink", die)
        with pytest.raises(_Died):
            await here.retention.delete([section.key], here.order())
    assert len(here.files()) == 2
    tombstone = await here.store.section(section.key)
    assert tombstone is not None
    assert tombstone.deleted_at == here.now
    async with house(here.folder) as restarted:
        assert await restarted.retention.finish() == 2
        assert await restarted.retention.finish() == 0
    assert here.files() == []
    assert len(await here.facts(FactKind.SECTION_DELETED)) == 1


async def test_what_was_left_longer_ago_is_found_when_the_spool_is_looked_through(here: House) -> None:
    section = await here.section(1, deleted_at=kept.NOON)
    here.file(section.path, timedelta(hours=2))
    here.now += 10 * DAY
    assert await here.retention.finish() == 0
    assert await here.retention.tidy() == 0
    assert here.files() == []


async def test_two_processes_delete_each_section_once(here: House) -> None:
    sections = [await here.section(file) for file in range(1, 121)]
    keys = [one.key for one in sections]
    async with house(here.folder) as other:
        done = await asyncio.gather(
            here.retention.delete(keys, here.order()), other.retention.delete(keys, other.order())
        )
    assert sum(one.count for one in done) == len(keys)
    assert here.files() == []
    facts = await here.facts(FactKind.SECTION_DELETED)
    assert sorted(fact.file or 0 for fact in facts) == list(range(1, 121))


async def test_one_run_at_a_time(here: House) -> None:
    async with run_turn(here.database):
        with pytest.raises(StoreError) as caught:
            async with run_turn(here.database):
                pass
    assert caught.value.details["reason"] == "busy"
    async with run_turn(here.database):
        pass


async def test_nothing_outside_the_spool_and_nothing_behind_a_link_is_deleted(here: House) -> None:
    outside = here.folder / "outside"
    outside.mkdir()
    precious = outside / "precious.wav"
    precious.write_bytes(AUDIO)
    up = await here.section(1, path="2026/08/01/../../../../outside/precious.wav")
    link = await here.section(2)
    (here.spool / link.path).unlink()
    (here.spool / link.path).symlink_to(precious)
    folder = await here.section(3, path="2026/08/02/precious.wav")
    (here.spool / folder.path).unlink()
    (here.spool / "2026/08/02").rmdir()
    (here.spool / "2026/08/02").symlink_to(outside)
    with structlog.testing.capture_logs() as logs:
        await here.retention.delete([up.key, link.key, folder.key], here.order())
    assert precious.read_bytes() == AUDIO
    assert (here.spool / link.path).is_symlink()
    assert {one["event"] for one in logs} == {"file-not-deleted"}
    for path in ("/etc/passwd", "", "2026/08/01/", "../x", "2026/08/01/a\0b"):
        with pytest.raises(MediaError):
            orphans.remove(here.spool, path)


async def test_a_spool_that_is_not_there_is_not_taken_for_an_empty_one(here: House) -> None:
    section = await here.section(1)
    here.spool.rename(here.folder / "away")
    with structlog.testing.capture_logs() as logs:
        await here.retention.delete([section.key], here.order())
    assert "mount" in logs[0]["problem"]
    with pytest.raises(MediaError):
        await here.retention.tidy()
    (here.folder / "away").rename(here.spool)
    assert await here.retention.finish() == 1


async def test_orphans_are_moved_and_what_is_named_or_foreign_or_young_is_left(here: House) -> None:
    named = await here.section(1, parts=("_r.wav",))
    name = f"{kept.RECORD}_1_002"
    moved = [f"2026/08/01/{name}.wav", f"2026/08/01/{name}_t.wav16", f"2026/08/01/.{name}.wav.joining"]
    left = [
        "2026/08/01/holiday.wav",
        f"2026/08/01/{name}.mp3",
        "2026/08/01/.hidden",
        f"{name}.wav",
        f"2026/13/{name}.wav",
    ]
    for path in (*moved, *left):
        here.file(path, timedelta(hours=2))
    for path in (named.path, named.path.replace(".wav", "_r.wav")):
        here.file(path, timedelta(hours=2))
    # The same name on another day is not that section's.
    here.file(named.path.replace("2026/08/01", "2026/08/02"), timedelta(hours=2))
    young = f"2026/08/01/{kept.RECORD}_1_003.wav"
    here.file(young, timedelta(minutes=59))
    (here.spool / f"2026/08/01/{kept.RECORD}_1_004.wav").symlink_to(here.spool / named.path)
    before = here.files()
    with structlog.testing.capture_logs() as logs:
        assert await here.retention.tidy() == 4
    gone = {*moved, named.path.replace("2026/08/01", "2026/08/02")}
    assert set(here.files()) == (set(before) - gone) | {f"quarantine/{path}" for path in gone}
    facts = await here.facts(FactKind.FILE_QUARANTINED)
    assert {str(fact.data["path"]): fact.data["to"] for fact in facts} == {path: f"quarantine/{path}" for path in gone}
    assert [one["event"] for one in logs] == ["orphan-quarantined"] * 4
    assert await here.retention.tidy() == 0


async def test_a_quarantined_file_never_replaces_another(here: House) -> None:
    path = f"2026/08/01/{kept.RECORD}_1_002.wav"
    for _ in range(2):
        here.file(path, timedelta(hours=2))
        assert await here.retention.tidy() == 1
    assert here.files() == [f"quarantine/{path}", f"quarantine/{path}.1"]


async def test_what_a_running_daemon_has_just_requested_is_no_orphan(
    here: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is listed first, then the section is looked for; its clock may be an hour off."""
    path = kept.section(1).path
    here.file(path, timedelta(hours=2))
    loop, listed = asyncio.get_running_loop(), orphans.files_by_folder

    def then_requested(root: Path) -> Iterator[list[orphans.Found]]:
        for found in listed(root):
            request = here.store.commit([PutSection(kept.section(1))])
            asyncio.run_coroutine_threadsafe(request, loop).result(30)
            yield found

    monkeypatch.setattr(orphans, "files_by_folder", then_requested)
    assert await here.retention.tidy() == 0
    assert here.files() == [path]


async def test_wishes_that_a_crash_left_of_old_calls_are_forgotten(here: House) -> None:
    here.now = kept.NOON + 8 * DAY
    await here.store.commit(
        [PutDemand(kept.demand(1)), PutDemand(kept.demand(2, since=here.now)), PutPause(kept.pause())]
    )
    await here.retention.tidy()
    assert [one.rule_id for one in await here.store.demands()] == [2]
    assert list(await here.store.pauses()) == []


async def test_a_hold_is_never_deleted(here: House) -> None:
    await here.store.commit([PutHold(a_hold(number="1"))])
    with sqlite3.connect(here.database) as other, pytest.raises(sqlite3.IntegrityError, match="released, never"):
        other.execute("DELETE FROM holds")
    other.close()
