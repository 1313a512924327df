from datetime import UTC, datetime

from tests.bench.report import Result, merged, section
from tests.bench.talks import Talk, at_once, talks
from tests.network.ami import Message

AT = datetime(2026, 3, 2, tzinfo=UTC)


def enter(bridge: str, channel: str, at: float) -> Message:
    return {"Event": "BridgeEnter", "BridgeUniqueid": bridge, "Uniqueid": channel, "Timestamp": str(at)}


def event(name: str, channel: str, at: float) -> Message:
    return {"Event": name, "Uniqueid": channel, "Timestamp": str(at)}


def test_a_talk_begins_with_the_second_party_and_waits_for_the_first_recording_on_either() -> None:
    found = talks(
        [
            enter("b1", "1.1", 10.0),
            enter("b2", "2.1", 10.1),
            enter("b1", "1.2", 10.5),
            event("MixMonitorStart", "1.1", 10.503),
            event("MixMonitorStart", "1.2", 10.9),
            event("Hangup", "1.2", 12.0),
            event("Hangup", "1.1", 12.1),
            {"Event": "MixMonitorStop"},
        ]
    )
    assert found == [Talk(10.5, (10.503, 10.9), 12.0)]
    wait = found[0].wait_ms
    assert wait is not None
    assert abs(wait - 3) < 0.001


def test_a_recording_that_is_told_of_before_the_talk_counts_and_one_of_another_call_does_not() -> None:
    found = talks(
        [
            event("MixMonitorStart", "1.2", 10.4),
            enter("b", "1.1", 10),
            enter("b", "1.2", 10.3),
            enter("c", "2.1", 9.0),
            enter("c", "2.2", 9.5),
        ]
    )
    assert found == [Talk(9.5, (), None), Talk(10.3, (10.4,), None)]
    assert found[0].wait_ms is None


def test_talks_at_once_are_those_that_have_begun_and_not_ended() -> None:
    found = [Talk(1.0, (), 3.0), Talk(2.0, (), None), Talk(3.0, (), 4.0)]
    assert [at_once(found, at) for at in (0.5, 1.0, 2.0, 3.0, 4.0)] == [0, 1, 2, 2, 1]


def test_a_benchmarks_section_takes_the_place_of_its_last_one_and_leaves_the_others() -> None:
    def result(name: str, figure: str) -> str:
        return section(Result(name, "how long", "Asterisk 22", (("", "ours"), ("median", figure)), ("a note",)), AT)

    text = merged("", "second", result("second", "1 ms"))
    text = merged(text, "first", result("first", "2 ms"))
    text = merged(text, "second", result("second", "3 ms"))
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# What the benchmarks measured",
        "## first: how long",
        "## second: how long",
    ]
    assert [line for line in text.splitlines() if "median" in line] == ["| median | 2 ms |", "| median | 3 ms |"]
    assert text.count("2026-03-02") == 2
    assert text.count("- a note") == 2
