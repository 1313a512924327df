from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.flows.made import ZERO, audio, section, two_parties
from tests.flows.truth import Truth
from tests.flows.verdict import Found, Section, Verdict, one_record_each
from tests.flows.verdict import judge as judge_found


def judge(truth: Truth, found: Sequence[Section]) -> Verdict:
    return judge_found(truth, Found(found))


def lost(*found: Section) -> list[str]:
    """What is lost of alice's and bob's talk from 1.0 to 3.0."""
    return judge(two_parties().truth(), found).lost


def faults(*found: Section) -> list[str]:
    return judge(two_parties().truth(), found).faults


def test_a_talk_that_is_in_a_section_with_both_is_kept() -> None:
    verdict = judge(two_parties().truth(), [section(1, 1.02, 2.98, "alice", "bob")])
    assert (verdict.faults, verdict.lost) == ([], [])
    assert verdict.talk_s == verdict.kept_s == pytest.approx(1.9)


def test_a_talk_without_a_section_is_lost() -> None:
    verdict = judge(two_parties().truth(), [])
    assert verdict.lost == ["talk 1 (alice, bob; 2.0 s): from 0.1 s to 2.0 s nothing was recorded"]
    assert verdict.kept_s == 0


def test_a_missing_second_is_found_and_where_it_is() -> None:
    (late,) = lost(section(1, 2.0, 3.0, "alice", "bob"))
    assert "from 0.1 s to 1.0 s nothing was recorded" in late
    (early,) = lost(section(1, 1.0, 2.0, "alice", "bob"))
    assert "from 1.0 s to 2.0 s nothing was recorded" in early
    (middle,) = lost(section(1, 1.0, 1.5, "alice", "bob"), section(1, 2.5, 3.0, "alice", "bob", file=2))
    assert "from 0.5 s to 1.5 s nothing was recorded" in middle


def test_a_window_without_a_voice_is_lost_even_a_single_one() -> None:
    one = section(1, 1.0, 3.0, "alice", "bob")
    gap = one.samples.copy()
    gap[8000:8800] = audio(0.1, {"alice": (0, 0.1)})
    (lack,) = lost(replace(one, samples=gap))
    assert "from 1.0 s to 1.1 s r_1_001 lacks bob" in lack


def test_a_section_with_one_side_only_keeps_nothing() -> None:
    (lack,) = lost(section(1, 1.0, 3.0, "alice"))
    assert "from 0.1 s to 2.0 s r_1_001 lacks bob" in lack


def test_a_section_of_another_talk_keeps_nothing_of_this_one() -> None:
    assert "nothing was recorded" in lost(section(9, 1.0, 3.0, "alice", "bob"))[0]


def test_a_voice_too_many_is_a_fault() -> None:
    (fault,) = faults(section(1, 1.0, 3.0, "alice", "bob", carol=2.5))
    assert fault == "r_1_001: carol is heard for 0.5 s without being in that talk"


def test_music_and_announcements_are_nobodys_voice() -> None:
    assert faults(section(1, 1.0, 3.0, "alice", "bob", "music", "announcement")) == []


def test_a_voice_from_before_its_owner_came_is_a_fault() -> None:
    script = two_parties(1.0, 9.0)
    script.events = script.events[:-2]
    script.enter(2.0, "b", 9)
    script.leave(3.0, "b", 1, 2, 9)
    truth = script.truth()
    assert judge(truth, [section(1, 1.0, 3.0, "alice", "bob", dave=2.0)]).faults == []
    (fault,) = judge(truth, [section(1, 1.0, 3.0, "alice", "bob", dave=1.6)]).faults
    assert "dave is heard for 0.3 s" in fault  # the fourth window ends where dave comes


def test_what_was_recorded_after_the_talk_is_a_fault() -> None:
    (fault,) = faults(section(1, 1.0, 3.5, "alice", "bob"))
    assert fault == "r_1_001: 0.4 s are recorded without a talk that is covered"


def test_a_section_without_a_talk_is_a_fault() -> None:
    assert "r_1_001: a section without a talk" in faults(section(9, 1.0, 3.0, "dave"))


def test_a_section_of_a_talk_that_ended_at_once_is_no_fault() -> None:
    script = two_parties(1.0, 1.01)
    assert judge(script.truth(), [section(1, 1.02, 1.02)]).faults == []
    assert judge(script.truth(), [section(1, 2.0, 2.0)]).faults == ["r_1_001: a section without a talk"]


def test_a_double_recording_is_a_fault_on_one_leg_or_on_both() -> None:
    first = section(1, 1.0, 3.0, "alice", "bob")
    for leg in (1, 2):
        (fault,) = faults(first, section(leg, 2.0, 3.0, "alice", "bob", file=2))
        assert fault == "r_1_001 and r_1_002 record the same 1.00 s"
    both = Found([first, section(2, 1.0, 3.0, "alice", "bob", rule=2)])
    for rule in (1, 2):
        assert judge_found(two_parties().truth(), both.of(rule)).faults == []


def test_what_a_wav_is_too_long_is_no_double_recording() -> None:
    first = section(1, 1.0, 2.05, "alice", "bob")
    second = section(2, 2.01, 3.0, "alice", "bob", file=2)
    (fault,) = faults(first, second)
    assert fault == "r_1_001 and r_1_002 record the same 0.04 s"
    assert faults(replace(first, stopped=ZERO + 2.0), second) == []


def test_a_section_that_is_still_being_stopped_in_the_next_talk_is_no_double_recording() -> None:
    truth = two_parties().truth()
    before, late = section(1, 0.2, 1.4, "alice", "bob"), section(1, 0.2, 2.6, "alice", "bob")
    now = section(2, 1.0, 3.0, "alice", "bob", file=2)
    assert not any("the same" in fault for fault in judge(truth, [before, now]).faults)
    assert any("the same" in fault for fault in judge(truth, [late, now]).faults)


def test_two_talks_at_one_time_are_no_double_recording() -> None:
    script = two_parties()
    script.leg(5, "carol", linked=9)
    script.enter(1.0, "other", 5, 9)
    script.leave(3.0, "other", 5, 9)
    both = [section(1, 1.0, 3.0, "alice", "bob"), replace(section(9, 1.0, 3.0, "carol", "dave", record="s"), call="u9")]
    assert judge(script.truth(), both).faults == []


@pytest.mark.parametrize("files", [(1, 3), (2, 1), (1, 1), (2, 3)])
def test_a_wrong_number_is_a_fault(files: tuple[int, int]) -> None:
    found = [
        section(1, began, began + 1, "alice", "bob", file=file) for began, file in zip((1.0, 2.0), files, strict=True)
    ]
    assert faults(*found) == [f"r, rule 1: sections are numbered {list(files)}"]


def test_the_number_of_a_section_that_came_to_nothing_is_no_wrong_number() -> None:
    found = [section(1, 1.0, 2.0, "alice", "bob"), section(1, 2.0, 3.0, "alice", "bob", file=3)]
    assert judge_found(two_parties().truth(), Found(found, frozenset({"r_1_002"}))).faults == []


def test_one_section_may_end_and_the_next_begin_in_a_window_but_not_leave_it_out() -> None:
    first = section(1, 1.0, 1.95, "alice", "bob")
    assert lost(first, section(2, 1.95, 3.0, "alice", "bob", file=2)) == []
    assert lost(first, section(2, 2.0, 3.0, "alice", "bob", file=2)) != []
    assert lost(first, section(2, 1.95, 3.0, "alice", file=2)) != []


def test_a_call_that_is_recorded_under_two_records_is_a_fault() -> None:
    found = [section(1, 1.0, 2.0, "alice", "bob"), section(1, 2.0, 3.0, "alice", "bob", record="s")]
    assert one_record_each(Found(found)) == ["call u1: after r it is recorded as s"]
    # What was recorded before two calls became one keeps its record.
    assert one_record_each(Found([found[0], replace(found[1], call="u9")])) == []


def test_so_are_two_rules_with_records_of_their_own() -> None:
    found = [section(1, 1.0, 2.0, "alice", "bob"), section(1, 1.5, 3.0, "alice", "bob", record="s", rule=2)]
    assert one_record_each(Found(found)) == ["call u1: after r it is recorded as s"]


def test_a_party_that_sends_a_key_need_not_be_heard_then_but_before_and_after() -> None:
    script = two_parties()
    script.key(1.9, 1)
    one = section(1, 1.0, 3.0, "bob", "alice")
    for quiet, windows in (((0.9, 1.02), 0), ((0.6, 1.02), 2)):
        samples = one.samples.copy()
        first, last = (round(at * 8000) for at in quiet)
        samples[first:last] = audio(2.0, {"bob": (0, 2.0)})[first:last]
        verdict = judge(script.truth(), [replace(one, samples=samples)])
        assert round((verdict.talk_s - verdict.kept_s) * 10) == windows


def test_a_leg_that_holds_need_hear_nobody_but_the_other_leg_must_be_heard_on_its_own() -> None:
    script = two_parties(1.0, 3.0)
    script.events[-2:-2] = [{**script.events[-2], "Event": "Hold", "Timestamp": script.events[-4]["Timestamp"]}]
    silent = section(1, 1.0, 3.0)
    assert judge(script.truth(), [silent]).lost == []
    (lack,) = judge(script.truth(), [replace(silent, leg="u2")]).lost
    assert "lacks bob" in lack
