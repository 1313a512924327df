"""Every recording is stopped, whatever its rule says."""

from bridge.core import decisions as d
from bridge.core.records import SectionState
from tests.core.scene import Scene

TWO_RULES = """\
rules:
  - {id: 1, name: All, record: always}
  - {id: 2, name: From the ringing, record: always, start: ring, section: 1m}
"""


def stop_all(scene: Scene) -> None:
    scene.take(d.StopAll(scene.pbx.now), scene.pbx.now)


def test_what_runs_is_stored_and_nothing_begins_while_the_call_goes_on() -> None:
    scene = Scene(rules=TWO_RULES)
    scene.call()
    scene.pbx.wait(5)
    scene.play()
    stop_all(scene)
    count = len(scene.sections)
    assert {section.state for section in scene.sections.values()} == {SectionState.STORED}
    scene.pbx.wait(600)
    scene.take(d.Tick(scene.pbx.now), scene.pbx.now)
    assert len(scene.sections) == count
    assert scene.recorder.sectioner.book.open() == []


def test_what_was_asked_for_and_not_answered_is_stopped_when_the_answer_comes() -> None:
    scene = Scene(answers=False)
    scene.call()
    scene.play()
    (start,) = scene.starts()
    stop_all(scene)
    assert [act for act in scene.acts if isinstance(act, d.StopMixMonitor)] == []
    scene.take(d.MixMonitorAccepted(scene.pbx.now, start.key, "0x1"), scene.pbx.now)
    (stop,) = [act for act in scene.acts if isinstance(act, d.StopMixMonitor)]
    assert (stop.key, stop.mixmonitor_id) == (start.key, "0x1")


def test_a_caller_that_waits_for_a_talk_is_stopped_too() -> None:
    scene = Scene(rules=TWO_RULES)
    alice = scene.pbx.channel("PJSIP/alice-1", exten="800")
    scene.pbx.up(alice)
    scene.play()
    assert [str(section.state) for section in scene.sections.values()] == ["recording"]
    stop_all(scene)
    assert [str(section.state) for section in scene.sections.values()] == ["stored"]


def test_the_next_start_records_the_calls_that_still_run() -> None:
    scene = Scene()
    alice, bob = scene.call()
    scene.play()
    stop_all(scene)
    scene.pbx.wait(5)
    again = scene.restarted()
    again.pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    again.play()
    assert [(one.file, str(one.state)) for one in again.sections.values()] == [(2, "recording")]
