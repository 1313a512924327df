"""Somebody else's MixMonitors: ours go on, or begin anew; theirs are counted, and never stopped by us."""

import pytest

from bridge.core import decisions as d
from bridge.core.commands import Verb
from bridge.core.ids import Uniqueid
from bridge.core.records import FactKind
from tests.core.scene import RECORD_ALL, Scene

PAUSABLE = "rules:\n  - {id: 1, name: All, record: always, pause: user}\n"


def talking(rules: str = RECORD_ALL) -> tuple[Scene, Uniqueid, Uniqueid]:
    """alice and bob talk, recorded on alice's leg; acts are answered by hand from here on."""
    scene = Scene(rules=rules)
    alice, bob = scene.call()
    scene.play()
    scene.answers = False
    return scene, alice, bob


def probes(scene: Scene) -> list[d.ProbeMixMonitor]:
    return [act for act in scene.acts if isinstance(act, d.ProbeMixMonitor)]


def probed(scene: Scene, *runs: bool) -> None:
    """What Asterisk says to the newest probes."""
    for probe, one in zip(probes(scene)[-len(runs) :], runs, strict=True):
        scene.take(d.MixMonitorProbed(scene.pbx.now, probe.key, one), scene.pbx.now)


def foreign(scene: Scene) -> list[tuple[str, bool]]:
    return [
        (fact.data["channel"], fact.data["runs"]) for fact in scene.facts if fact.kind is FactKind.FOREIGN_MIXMONITOR
    ]


def alarms(scene: Scene) -> list[str]:
    return [fact.data["alarm"] for fact in scene.facts if fact.kind is FactKind.SECTION_ALARM]


def other(scene: Scene, leg: Uniqueid, *, runs: bool) -> None:
    scene.pbx.mixmonitor(leg, runs=runs)
    scene.play()


def test_theirs_is_a_fact_and_ours_goes_on_beside_it() -> None:
    scene, alice, _ = talking()
    other(scene, alice, runs=True)
    assert foreign(scene) == [("PJSIP/alice-1", True)]
    assert (probes(scene), scene.states()) == ([], [(1, 1, "recording")])


def test_when_theirs_stops_ours_is_probed_and_goes_on() -> None:
    scene, alice, _ = talking()
    other(scene, alice, runs=True)
    other(scene, alice, runs=False)
    (probe,) = probes(scene)
    assert (probe.leg, probe.mixmonitor_id) == (alice, "0x1")
    probed(scene, True)
    assert foreign(scene) == [("PJSIP/alice-1", True), ("PJSIP/alice-1", False)]
    assert (scene.states(), alarms(scene), scene.stops()) == ([(1, 1, "recording")], [], [])


def test_ours_stopped_by_others_is_closed_and_the_next_section_begins_on_the_other_leg() -> None:
    scene, alice, bob = talking()
    other(scene, alice, runs=False)
    probed(scene, False)
    assert alarms(scene) == ["stopped-by-others"]
    assert scene.states() == [(1, 1, "closed"), (1, 2, "requested")]
    assert scene.starts()[-1].leg == bob
    assert (scene.stops(), foreign(scene)) == ([], [])


def test_theirs_still_counts_when_it_was_ours_that_stopped() -> None:
    scene, alice, bob = talking()
    other(scene, alice, runs=True)
    other(scene, alice, runs=False)
    probed(scene, False)
    assert scene.states() == [(1, 1, "closed"), (1, 2, "requested")]
    monitors = scene.recorder.sectioner.monitors
    assert (monitors.foreign_on(alice), monitors.foreign_on(bob)) == (True, False)
    other(scene, alice, runs=False)
    assert not monitors.foreign_on(alice)


@pytest.mark.parametrize("gone", [0, 1])
def test_of_two_of_ours_only_the_one_that_was_stopped_begins_anew(gone: int) -> None:
    scene, alice, _ = talking(RECORD_ALL + "  - {id: 2, name: All too, record: always}\n")
    other(scene, alice, runs=False)
    assert [probe.key.rule_id for probe in probes(scene)] == [1, 2]
    probed(scene, *(number != gone for number in (0, 1)))
    states = {(rule, file): state for rule, file, state in scene.states()}
    assert states == {(gone + 1, 1): "closed", (2 - gone, 1): "recording", (gone + 1, 2): "requested"}


def test_our_own_stop_is_not_taken_for_theirs() -> None:
    scene, alice, bob = talking()
    other(scene, alice, runs=True)
    scene.pbx.leave("b1", bob)
    scene.play()
    (stop,) = scene.stops()
    scene.answer(stop, scene.pbx.now)
    assert (probes(scene), foreign(scene)) == ([], [("PJSIP/alice-1", True)])
    assert scene.recorder.sectioner.monitors.foreign_on(alice)


def test_a_probe_whose_section_is_over_meanwhile_changes_nothing() -> None:
    scene, alice, bob = talking()
    other(scene, alice, runs=False)
    scene.pbx.over("b1", alice, bob)
    scene.play()
    probed(scene, False)
    assert (alarms(scene), len(scene.starts())) == ([], 1)


def test_what_was_stopped_while_paused_does_not_begin_before_the_resume() -> None:
    scene, alice, _ = talking(PAUSABLE)
    scene.answers = True
    scene.ask(Verb.PAUSE, alice, "alice")
    scene.answers = False
    other(scene, alice, runs=False)
    probed(scene, False)
    assert scene.states() == [(1, 1, "closed")]
    scene.ask(Verb.RESUME, alice, "alice")
    assert scene.states() == [(1, 1, "closed"), (1, 2, "requested")]


def test_ours_that_is_stopped_by_others_while_it_is_taken_over_does_not_end_the_recording() -> None:
    scene, alice, _ = talking("rules:\n  - {id: 1, name: All, record: always, section: 10s}\n")
    scene.tick(10)
    other(scene, alice, runs=False)
    probed(scene, False)
    successor = scene.starts()[-1]
    scene.lost(successor)
    assert [start.key.file for start in scene.starts()] == [1, 2, 3]


def test_a_section_goes_on_where_the_next_is_refused_only_after_it_would_have_ended() -> None:
    scene, _, _ = talking("rules:\n  - {id: 1, name: All, record: always, section: 10s}\n")
    scene.tick(10)
    scene.tick(11)
    successor = scene.starts()[-1]
    scene.take(d.MixMonitorRefused(scene.pbx.now, successor.key, "asterisk-refused", "no"), scene.pbx.now)
    scene.wakes()
    scene.answer(scene.starts()[-1], scene.pbx.now)
    assert [start.key.file for start in scene.starts()] == [1, 2, 3]
    assert [stop.key.file for stop in scene.stops()] == [1]


def test_a_section_whose_leg_leaves_while_the_next_is_being_started_ends_at_once() -> None:
    scene, alice, bob = talking("rules:\n  - {id: 1, name: All, record: always, section: 10s}\n")
    carol = scene.pbx.channel("PJSIP/carol-1")
    scene.pbx.enter("b1", carol)
    scene.pbx.mixmonitor(alice, runs=True)  # so that the next section is on another leg
    scene.play()
    scene.tick(10)
    assert [start.leg for start in scene.starts()] == [alice, bob]
    scene.pbx.leave("b1", alice)
    scene.play()
    assert [stop.leg for stop in scene.stops()] == [alice]
    assert scene.states() == [(1, 1, "stopping"), (1, 2, "requested")]


def test_an_asterisk_that_stops_ours_again_and_again_gets_one_section_after_another() -> None:
    scene, _, _ = talking()
    for _ in range(4):
        leg = scene.starts()[-1].leg
        if len(scene.starts()) > 1:
            scene.answer(scene.starts()[-1], scene.pbx.now)
        scene.pbx.wait(1)
        other(scene, leg, runs=False)
        probed(scene, False)
    assert [start.key.file for start in scene.starts()] == [1, 2, 3, 4, 5]
    assert alarms(scene) == ["stopped-by-others"] * 4
