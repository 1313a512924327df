"""What is measured of the recorder's decisions, at a PBX whose clock a test moves."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from bridge.core import decisions as d
from bridge.core.access import Role
from bridge.core.commands import Order, Verb
from bridge.core.histograms import Histogram
from bridge.core.ids import RuleId, Uniqueid
from bridge.core.messages import Event, MixMonitorStarted
from bridge.core.metering import Lasting, Meter, Metered
from tests.core.pbx import START
from tests.core.scene import REPORT, Scene

ALWAYS, WANTED = RuleId(1), RuleId(2)
RULES = """rules:
  - {id: 1, name: All, record: always, pause: user}
  - {id: 2, name: Wanted, record: on-demand}
"""


@dataclass
class Measured(Scene):
    """A scene whose engine measures."""

    rules: str = RULES
    meter: Meter = field(default_factory=lambda: Meter(START))

    def take(self, event: Event | d.Report | Order, now: datetime) -> None:
        decisions = self.recorder.handle(event, now)
        self.meter.take([event], decisions, now)
        self.sort([*decisions, *self.recorder.checkpoint()], now)

    def now(self) -> Metered:
        return self.meter.metered(self.pbx.now)


def talking(*, answers: bool = True) -> tuple[Measured, Uniqueid, Uniqueid]:
    scene = Measured(answers=answers)
    alice, bob = scene.call()
    scene.play()
    return scene, alice, bob


def later(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)


def test_talk_and_recording_are_counted_while_they_go_on_and_no_longer() -> None:
    scene, alice, bob = talking()
    scene.pbx.wait(30)
    now = scene.now()
    assert now.talked_s == pytest.approx(30, abs=0.01)
    assert now.wanted_s == {ALWAYS: pytest.approx(30, abs=0.01)}
    assert now.recorded_s == {ALWAYS: pytest.approx(30, abs=0.01)}
    scene.pbx.hangup(alice, bob)
    scene.play()
    scene.pbx.wait(600)
    now = scene.now()
    assert now.talked_s == pytest.approx(30, abs=0.01)
    assert now.wanted_s == {ALWAYS: pytest.approx(30, abs=0.01)}
    assert now.recorded_s == {ALWAYS: pytest.approx(30, abs=0.01)}


def test_what_is_wanted_and_does_not_run_is_not_recorded() -> None:
    scene, _, _ = talking(answers=False)
    scene.pbx.wait(20)
    now = scene.now()
    assert now.wanted_s == {ALWAYS: pytest.approx(20, abs=0.01)}
    assert not now.recorded_s
    assert now.from_talk.count == now.from_request.count == 0


def test_a_pause_is_neither_wanted_nor_recorded() -> None:
    scene, alice, _ = talking()
    scene.pbx.wait(10)
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.pbx.wait(100)
    scene.ask(Verb.RESUME, alice, "alice")
    scene.pbx.wait(5)
    now = scene.now()
    assert now.talked_s == pytest.approx(115, abs=0.01)
    assert now.wanted_s[ALWAYS] == pytest.approx(15, abs=0.01)
    assert now.recorded_s[ALWAYS] == pytest.approx(15, abs=0.01)


def test_what_users_start_later_is_no_start_of_a_talk() -> None:
    scene, alice, _ = talking()
    scene.pbx.wait(60)
    scene.ask(Verb.START, alice, "alice", Role.USER)
    scene.pbx.wait(5)
    now = scene.now()
    assert now.recorded_s[WANTED] == pytest.approx(5, abs=0.01)
    assert now.from_talk.count == 1
    assert now.from_request.count == 2
    assert now.from_request.sum < 0.1


def test_a_start_is_measured_from_the_talk_to_mixmonitorstart_and_from_the_request_to_the_answer() -> None:
    scene, _, _ = talking(answers=False)
    (start,) = scene.starts()
    (talk,) = scene.talks.values()
    scene.take(MixMonitorStarted(later(talk.began_at, 0.3), start.leg), later(talk.began_at, 0.31))
    requested_at = scene.sections[start.key].requested_at
    scene.take(d.MixMonitorAccepted(later(requested_at, 1.5), start.key, "0x1"), later(requested_at, 1.5))
    now = scene.now()
    assert now.from_talk.sum == pytest.approx(0.3)
    assert dict(now.from_talk.buckets())["0.2"] == 0
    assert dict(now.from_talk.buckets())["0.5"] == 1
    assert now.from_request.sum == pytest.approx(1.5)


def test_a_refused_start_is_measured_when_another_try_begins() -> None:
    scene, alice, bob = talking(answers=False)
    (start,) = scene.starts()
    scene.take(d.MixMonitorRefused(scene.pbx.now, start.key, "asterisk-refused", "no"), scene.pbx.now)
    assert scene.now().from_talk.count == 0
    scene.take(MixMonitorStarted(scene.pbx.now, start.leg), scene.pbx.now)  # somebody else's
    assert scene.now().from_talk.count == 0
    scene.pbx.hangup(alice, bob)
    scene.play()
    assert not scene.meter._asked
    assert not scene.meter._on_leg
    assert not scene.meter._sizes
    assert not scene.meter._talks


def test_the_next_partners_talk_is_a_start_of_its_own() -> None:
    scene, _, bob = talking()
    scene.pbx.wait(10)
    scene.pbx.leave("b1", bob)
    scene.pbx.hangup(bob)
    carol = scene.pbx.channel("PJSIP/carol-1")
    scene.pbx.wait(5)
    scene.pbx.enter("b1", carol)
    scene.play()
    scene.pbx.wait(10)
    now = scene.now()
    assert now.from_talk.count == 2
    assert now.talked_s == pytest.approx(20, abs=0.05)
    assert now.recorded_s[ALWAYS] == pytest.approx(20, abs=0.05)


def test_bytes_are_counted_as_files_grow_and_the_rest_once_they_are_whole() -> None:
    scene, alice, bob = talking()
    (start,) = scene.starts()
    for size in (32_044, 64_044, 64_044):
        scene.take(d.FilesMeasured(scene.pbx.now, {start.key: d.Grown(size)}, connected=True), scene.pbx.now)
    assert scene.now().recorded_bytes == 64_044
    scene.pbx.hangup(alice, bob)
    scene.answers = False
    scene.play()
    scene.take(d.FileInspected(scene.pbx.now, start.key, replace(REPORT, size_bytes=80_000)), scene.pbx.now)
    assert scene.now().recorded_bytes == 80_000
    scene.take(d.FilesMeasured(scene.pbx.now, {start.key: d.Grown(90_000)}, connected=True), scene.pbx.now)
    assert scene.now().recorded_bytes == 80_000


def test_what_an_earlier_run_began_counts_from_the_start_on() -> None:
    scene, _, _ = talking()
    scene.pbx.wait(1000)
    since = scene.pbx.now
    meter = Meter(since)
    meter.restore(list(scene.talks.values()), list(scene.spans.values()), list(scene.sections.values()))
    (section,) = scene.sections.values()
    grown = {section.key: d.Grown(16_000_000)}
    meter.take([d.FilesMeasured(since, grown, connected=True)], [], since)
    now = meter.metered(later(since, 7))
    assert now.talked_s == pytest.approx(7)
    assert now.wanted_s == {ALWAYS: pytest.approx(7)}
    assert now.recorded_s == {ALWAYS: pytest.approx(7)}
    assert now.recorded_bytes == 0
    more = {section.key: d.Grown(16_050_000)}
    meter.take([d.FilesMeasured(since, more, connected=True)], [], since)
    assert meter.metered(later(since, 7)).recorded_bytes == 50_000


def test_events_are_counted_and_the_newest_ones_age_told() -> None:
    scene, alice, _ = talking()
    count = scene.now().events
    assert count > 5
    old = MixMonitorStarted(later(scene.pbx.now, -3), alice)
    scene.take(old, scene.pbx.now)
    now = scene.now()
    assert (now.events, now.lag_s) == (count + 1, 3.0)
    scene.take(d.Tick(scene.pbx.now), scene.pbx.now)
    assert scene.now().events == count + 1


def test_what_lasts_never_falls_though_its_end_is_told_late() -> None:
    lasting = Lasting()
    lasting.begin(10.0)
    lasting.begin(12.0)
    assert lasting.total_s(20.0) == 18.0
    lasting.end(10.0, 19.0)
    assert lasting.total_s(20.0) == 18.0
    assert lasting.total_s(20.5) == 18.0
    assert lasting.total_s(23.0) == 20.0
    lasting.end(12.0, 23.0)
    assert lasting.total_s(900.0) == 20.0


def test_a_histogram_counts_what_is_on_a_bound_below_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.1, 0.100001, 1.0, 2.0, -0.5):
        histogram.observe(value)
    assert list(histogram.buckets()) == [("0.1", 2), ("1.0", 4), ("+Inf", 5)]
    assert histogram.count == 5
    assert histogram.sum == pytest.approx(3.200001)
