"""The measure itself: whatever is lost, doubled, left over or untold is found; what nobody could have kept is not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.account import Account, account
from tests.faults.compared import compare
from tests.faults.scenarios import MONO, book
from tests.faults.seen import Seen
from tests.flows.made import ZERO, audio, two_parties
from tests.network import tones

RULES = book("All", MONO).rules


def entry(user: str, **more: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(("inbound", "internal", "number", "name", "extension", "via", "viaDetails", "deviceName"), ""),
        "userName": user,
        "eventId": "e",
        "recordId": "r",
        "result": "hangup",
        **more,
    }


def one(file: int = 1, state: str = "stored") -> dict[str, Any]:
    return {"ruleId": 1, "file": file, "state": state, "reason": None}


def seen(spool: Path, *, began: float = 1.0, ended: float = 4.0, talk_ended: float = 4.0) -> Seen:
    """alice and bob talk from 1.0 to 4.0, and a MixMonitor writes from `began` to `ended`."""
    script = two_parties(ended=talk_ended)
    script.monitor(began, 1, "/spool/r_1_001.wav")
    script.add(ended, "MixMonitorStop", 1)
    script.events.sort(key=lambda event: float(event["Timestamp"]))
    length_s = ended - began
    wav = audio(length_s, {"alice": (0, length_s), "bob": (0, length_s)})
    tones.write_wav(spool / "2026" / "r_1_001.wav", wav)
    return Seen(script.truth(), {"r": [one()]}, [entry("alice"), entry("bob")], spool)


def looked_at(one: Seen) -> Account:
    return account(one, RULES)


def test_a_talk_that_is_kept_is_accounted_for(tmp_path: Path) -> None:
    found = looked_at(seen(tmp_path))
    assert found.faults == []
    assert (found.sections, found.kept, found.hole_s, found.unreached) == (1, 1, 0, 0)
    assert found.written_s == pytest.approx(found.playable_s) == pytest.approx(3.0)


def test_a_second_that_nobody_wrote_is_lost_unless_the_daemon_was_away(tmp_path: Path) -> None:
    late = seen(tmp_path, began=4.5, ended=6.0, talk_ended=6.0)
    (fault,) = looked_at(late).faults
    assert "nothing was recorded" in fault
    away = looked_at(replace(late, away=[(ZERO + 0.9, ZERO + 4.4)]))
    assert away.faults == []
    assert away.hole_s == pytest.approx(3.4)
    assert looked_at(replace(late, away=[(ZERO + 5.5, ZERO + 5.6)])).faults == [fault]


def test_an_absence_with_a_moment_in_it_is_one(tmp_path: Path) -> None:
    spans = [(5.0, 6.0), (1.0, 2.0), (2.1, 3.0)]
    assert replace(seen(tmp_path), away=spans).absences == [(1.0, 3.0), (5.0, 6.0)]


def test_a_few_packets_that_a_busy_machine_lost_are_no_fault_but_a_second_is(tmp_path: Path) -> None:
    whole = seen(tmp_path)
    for length_s, faulty in ((2.8, False), (2.0, True)):
        wav = audio(length_s, {"alice": (0, length_s), "bob": (0, length_s)})
        tones.write_wav(tmp_path / "2026" / "r_1_001.wav", wav)
        assert bool(looked_at(whole).faults) is faulty


def test_what_a_mixmonitor_wrote_while_the_daemon_was_away_must_be_there(tmp_path: Path) -> None:
    whole = seen(tmp_path)
    tones.write_wav(tmp_path / "2026" / "r_1_001.wav", audio(1.0, {"alice": (0, 1), "bob": (0, 1)}))
    assert any("nothing was recorded" in each for each in looked_at(replace(whole, away=[(ZERO, ZERO + 5)])).faults)


def test_a_section_that_is_open_failed_or_unknown_is_named(tmp_path: Path) -> None:
    whole = seen(tmp_path)
    assert any("for ever" in each for each in looked_at(replace(whole, records={"r": [one(state="closed")]})).faults)
    assert any("failed" in each for each in looked_at(replace(whole, records={"r": [one(state="failed")]})).faults)
    unknown = looked_at(replace(whole, records={})).faults
    assert any("no section names it" in each for each in unknown)
    assert any("no record has it" in each for each in unknown)


def test_an_intent_whose_mixmonitor_was_never_asked_for_is_no_loss(tmp_path: Path) -> None:
    assert looked_at(replace(seen(tmp_path), records={"r": [one(), one(2, "failed")]})).faults == []


def test_what_runs_on_after_the_talk_is_a_fault_while_the_daemon_is_there(tmp_path: Path) -> None:
    longer = seen(tmp_path, ended=6.0, talk_ended=4.0)
    assert any("without a talk" in each for each in looked_at(longer).faults)


def test_a_voice_in_a_pause_is_heard(tmp_path: Path) -> None:
    paused = replace(seen(tmp_path), silent=[(ZERO + 2.0, ZERO + 3.0)])
    assert any("while it is paused" in each for each in looked_at(paused).faults)


def test_what_is_told_twice_or_not_at_all_is_named(tmp_path: Path) -> None:
    whole = seen(tmp_path)
    assert any("told 2 times" in each for each in looked_at(replace(whole, journal=[entry("alice")] * 2)).faults)
    assert compare(whole, whole, 0) == []
    assert any("lacks" in each for each in compare(replace(whole, journal=[entry("bob")]), whole, 0))
    other = replace(whole, journal=[entry("alice", result="cancel"), entry("bob")])
    assert len(compare(other, whole, 0)) == 2


def test_fewer_sections_than_undisturbed_are_a_fault_unless_their_talks_could_not_be_had(tmp_path: Path) -> None:
    whole = seen(tmp_path)
    none = replace(whole, records={"r": []})
    assert any("sections" in each for each in compare(none, whole, 0))
    assert compare(none, whole, 1) == []
    assert any("sections" in each for each in compare(replace(whole, records={"r": [one(), one(2)]}), whole, 0))
