"""What is said of channels, and that all that begins ends."""

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from bridge.core import decisions as d
from bridge.core import messages as m
from bridge.core.channel_ends import LEAVES_WITHIN_S
from bridge.core.ids import CallId, Uniqueid
from bridge.core.messages import MixMonitorStarted, MixMonitorStopped, parse
from bridge.core.people import People
from bridge.core.records import Fact
from bridge.core.rules import parse_rules
from bridge.replay import read_messages
from tests.captures.folder import FIXTURES, Folder
from tests.core.channel_pairs import assert_pairs_are_whole, snapshot_of
from tests.core.pbx import Pbx
from tests.core.scene import TRUNKS, Scene, directory
from tests.core.test_restart_fuzz import live

FOLDERS = sorted(path for path in FIXTURES.iterdir() if path.is_dir() and Folder(path).known_wrong is None)


@pytest.fixture
def scene() -> Scene:
    return Scene(tell_channels=True)


def told(scene: Scene) -> list[str]:
    """Kind, whose, and what matters of each fact about a channel, as one word each."""
    return [_words(fact) for fact in scene.facts if fact.kind.startswith("channel.")]


def _words(fact: Fact) -> str:
    who = fact.data["channel"].partition("/")[2].partition("-")[0]
    kind = fact.kind.removeprefix("channel.")
    more = [fact.data[name] for name in ("state", "bridge", "reason", "code", "into") if name in fact.data]
    return " ".join(map(str, (who, kind, *more)))


def hung_up(pbx: Pbx, channel: Uniqueid, cause: int = 16) -> None:
    """The phone says so."""
    pbx.events.append(m.HangupRequested(pbx._at(), channel, cause))


def test_nothing_is_said_of_channels_by_default() -> None:
    scene = Scene()
    one, two = scene.call()
    scene.pbx.over("b1", one, two)
    scene.play()
    assert told(scene) == []


def test_of_a_simple_call_everything_is_said_in_its_order(scene: Scene) -> None:
    pbx = scene.pbx
    one = pbx.channel("PJSIP/alice-1", exten="102", number="101", caller_name="Alice")
    two = pbx.ring(one, "PJSIP/bob-1", number="102")
    pbx.events.append(m.ChannelStateChanged(pbx._at(), two, state_up=False, ringing=True))
    pbx.answered(one, two, "b1")
    hung_up(pbx, two)
    pbx.over("b1", two, one)
    scene.play()
    assert told(scene) == [
        "alice began",
        "bob began",
        "bob progress dialing",
        "bob progress ringing",
        "bob progress active",
        "bob joined b1",
        "alice joined b1",
        "bob left b1 hung-up",
        "bob progress hung-up 700",
        "bob ended hung-up",
        "alice left b1 hung-up",
        "alice ended hung-up",
    ]
    began = scene.facts[[fact.kind for fact in scene.facts].index("channel.began")]  # type: ignore[arg-type]
    assert dict(began.personal) == {"identity": "alice", "name": "Alice", "number": "101"}
    assert began.data["uniqueid"] == one
    assert began.call_id == CallId(one)
    assert began.audience == ("alice",)
    kinds = scene.kinds()
    assert kinds.index("channel.ended") < kinds.index("call.ended"), "a channel ends before its call"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "cause", "sip_status", "end"),
    [
        ("CANCEL", 127, 500, (487, "Request Terminated")),
        ("CANCEL", 26, None, (487, "Request Terminated")),
        ("BUSY", 17, 486, (486, "Busy Here")),
        ("BUSY", 17, None, (486, "Busy Here")),
        ("NOANSWER", 21, 403, (403, "Forbidden")),
        ("NOANSWER", 0, None, (480, "Temporarily Unavailable")),
        ("NOANSWER", 18, 408, (408, "Request Timeout")),
        ("CONGESTION", 34, 503, (503, "Service Unavailable")),
        ("CHANUNAVAIL", 0, None, (503, "Service Unavailable")),
        ("", 1, None, (404, "Not Found")),
        ("NOANSWER", 0, 100, (480, "Temporarily Unavailable")),
        ("NOANSWER", 0, 699, (699, "")),
    ],
)
def test_a_dialled_leg_that_is_not_answered_ends_with_what_sip_says(
    scene: Scene, status: str, cause: int, sip_status: int | None, end: tuple[int, str]
) -> None:
    pbx = scene.pbx
    one = pbx.channel("PJSIP/alice-1", exten="102")
    two = pbx.ring(one, "PJSIP/bob-1")
    if status:
        pbx.dial_ends(one, two, status)
    pbx.events.append(m.ChannelHungUp(pbx._at(), two, cause, sip_status))
    pbx.hangup(one)
    scene.play()
    over = [fact for fact in scene.facts if fact.data.get("state") == "hung-up"]
    assert [(fact.data["code"], fact.data["message"]) for fact in over] == [end]
    assert_pairs_are_whole(scene.facts)


@pytest.mark.parametrize(
    ("cause", "code", "reason"),
    [(16, 700, "hung-up"), (44, 704, "network"), (38, 703, "network"), (18, 703, "network")],
)
def test_a_network_that_fails_is_told_by_the_cause(scene: Scene, cause: int, code: int, reason: str) -> None:
    one, two = scene.call()
    hung_up(scene.pbx, two, cause)
    scene.pbx.leave("b1", two)
    scene.pbx.hangup(two, cause=cause)
    scene.pbx.leave("b1", one)
    scene.pbx.hangup(one)
    scene.play()
    assert told(scene)[-5:] == [
        f"bob left b1 {reason}",
        f"bob progress hung-up {code}",
        f"bob ended {reason}",
        "alice left b1 hung-up",
        "alice ended hung-up",
    ]


def test_the_managers_hangup_is_one_that_nobody_asked_for(scene: Scene) -> None:
    one, two = scene.call()
    scene.pbx.leave("b1", one)
    scene.pbx.leave("b1", two)
    scene.pbx.hangup(two, one)
    scene.play()
    assert told(scene)[-5:] == [
        "bob left b1 hung-up",
        "bob progress hung-up 700",
        "bob ended hung-up",
        "alice left b1 forced",
        "alice ended forced",
    ]


def test_who_is_kicked_out_of_a_conference_is_forced_and_the_others_are_not(scene: Scene) -> None:
    pbx = scene.pbx
    three = [pbx.channel(f"PJSIP/{name}-1", exten="900") for name in ("alice", "bob", "carol")]
    pbx.enter("c1", *three, bridge_type="base", technology="softmix")
    hung_up(pbx, three[0])
    pbx.leave("c1", three[0])
    pbx.hangup(three[0])
    pbx.leave("c1", three[1])
    pbx.hangup(three[1])
    hung_up(pbx, three[2])
    pbx.leave("c1", three[2])
    pbx.hangup(three[2])
    scene.play()
    ended = [word for word in told(scene) if " ended " in word and "into" not in word]
    assert ended[-3:] == ["alice ended hung-up", "bob ended forced", "carol ended hung-up"]
    assert_pairs_are_whole(scene.facts)


def test_channel_request_hangup_is_told_also_of_one_that_rings(scene: Scene) -> None:
    pbx = scene.pbx
    one = pbx.channel("PJSIP/alice-1", exten="102")
    two = pbx.ring(one, "PJSIP/bob-1")
    pbx.events.append(m.HangupRequested(pbx._at(), two, m.SOFT_EXPLICIT, soft=True))
    pbx.dial_ends(one, two, "NOANSWER")
    pbx.hangup(two, cause=0)
    pbx.events.append(m.HangupRequested(pbx._at(), one, 16, soft=True))
    pbx.hangup(one)
    scene.play()
    assert told(scene)[-3:] == ["bob progress hung-up 480", "bob ended forced", "alice ended hung-up"]


def test_a_blind_transfer_moves_one_and_the_transferer_has_hung_up(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    pbx.hold(two)
    pbx.events.append(m.Transferred(pbx._at(), (two,), one))
    pbx.leave("b1", two)
    pbx.leave("b1", one)
    pbx.hangup(two)
    three = pbx.ring(one, "PJSIP/carol-1", number="103")
    pbx.answered(one, three, "b2")
    hung_up(pbx, one)
    pbx.leave("b2", one)
    pbx.leave("b2", three)
    pbx.hangup(one, three)
    scene.play()
    words = told(scene)
    assert "bob progress on-hold" in words
    assert "bob left b1 hung-up" in words
    assert "bob ended hung-up" in words
    assert "alice left b1 moved" in words
    assert_pairs_are_whole(scene.facts)


def test_of_an_attended_transfer_the_transferer_goes_by_itself(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    pbx.hold(two)
    three = pbx.channel("PJSIP/carol-1", of=one)
    pbx.leave("b1", two)
    pbx.enter("b2", three, two)
    pbx.leave("b2", two)
    pbx.leave("b2", three)
    pbx.enter("b1", three)
    pbx.events.append(m.Transferred(pbx._at(), (two,), one))
    pbx.hangup(two)
    hung_up(pbx, one)
    pbx.over("b1", one, three)
    scene.play()
    words = told(scene)
    assert "bob left b1 left" in words, "it was its own wish"
    assert "bob left b2 hung-up" in words
    assert "bob ended hung-up" in words, "no HangupRequest, but a transfer"
    assert_pairs_are_whole(scene.facts)


def test_who_is_parked_is_moved_and_parking_is_no_stream(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    pbx.leave("b1", one)
    pbx.enter("park", one, bridge_type="base", technology="holding_bridge")
    pbx.wait(3)
    pbx.leave("b1", two)
    pbx.hangup(two)
    hung_up(pbx, one)
    pbx.leave("park", one)
    pbx.hangup(one)
    scene.play()
    assert told(scene)[-5:] == [
        "alice left b1 moved",
        "bob left b1 hung-up",
        "bob progress hung-up 700",
        "bob ended hung-up",
        "alice ended hung-up",
    ]


def test_who_is_left_alone_and_goes_on_in_the_dialplan_has_left(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    hung_up(pbx, two)
    pbx.leave("b1", two)
    pbx.hangup(two)
    pbx.leave("b1", one)
    scene.play()
    left_at = pbx.now
    assert told(scene)[-1] == "bob ended hung-up", "nobody knows yet"
    assert scene.recorder.channel_facts.wake_at() == left_at + timedelta(seconds=LEAVES_WITHIN_S)
    scene.tick(LEAVES_WITHIN_S)
    assert told(scene)[-1] == "alice left b1 left"
    assert scene.facts[-1].at == left_at
    assert scene.recorder.channel_facts.wake_at() is None
    pbx.hangup(one)
    scene.play()
    assert told(scene)[-1] == "alice ended hung-up"


def test_who_was_redirected_and_hung_up_later_by_its_dialplan_was_not_forced_out(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    pbx.leave("b1", one)
    pbx.leave("b1", two)
    pbx.hangup(two)
    scene.play()
    scene.tick(5)
    pbx.hangup(one)
    scene.play()
    assert told(scene)[-2:] == ["alice left b1 moved", "alice ended hung-up"]


def test_a_queue_is_no_stream_until_somebody_takes_the_call(scene: Scene) -> None:
    pbx = scene.pbx
    one = pbx.channel("PJSIP/trunk-1", exten="500", number="+49170", context="from-trunk")
    pbx.queue(one, "support")
    two = pbx.ring(one, "PJSIP/bob-1")
    pbx.answered(one, two, "b1")
    hung_up(pbx, one)
    pbx.over("b1", one, two)
    scene.play()
    assert told(scene)[:2] == ["trunk began", "bob began"]
    outside = next(fact for fact in scene.facts if fact.kind == "channel.began")
    assert dict(outside.personal) == {"identity": "", "name": "", "number": "+49170"}
    assert_pairs_are_whole(scene.facts)


def test_halves_of_local_channels_are_nobody_and_a_stream_goes_on_where_they_go(scene: Scene) -> None:
    pbx = scene.pbx
    one = pbx.channel("PJSIP/alice-1", exten="700")
    left, right = pbx.local("102@internal-0", of=one)
    two = pbx.ring(right, "PJSIP/bob-1")
    pbx.dial_ends(right, two, "ANSWER")
    pbx.up(two)
    pbx.enter("b2", two, right)
    pbx.enter("b1", left, one)
    pbx.optimize(left, right, begin=True)
    pbx.leave("b1", one)
    pbx.leave("b2", right)
    pbx.enter("b2", one)
    pbx.optimize(left, right, begin=False)
    pbx.leave("b1", left)
    pbx.hangup(right, left)
    hung_up(pbx, one)
    pbx.over("b2", one, two)
    scene.play()
    assert [word for word in told(scene) if "progress" not in word] == [
        "alice began",
        "bob began",
        "bob joined b2",
        "alice joined b1",
        "alice left b1 hung-up",
        "alice ended hung-up",
        "bob left b2 hung-up",
        "bob ended hung-up",
    ]


def test_of_two_calls_that_become_one_the_younger_ends_and_begins_anew_in_the_other(scene: Scene) -> None:
    pbx = scene.pbx
    one, two = scene.call()
    three = pbx.channel("PJSIP/carol-1", exten="104")
    four = pbx.ring(three, "PJSIP/dave-1")
    pbx.answered(three, four, "b2")
    scene.play()
    before = len(told(scene))
    pbx.leave("b2", four)
    pbx.enter("b1", four)
    scene.play()
    assert told(scene)[before:] == [
        f"carol left b2 moved {one}",
        f"carol ended hung-up {one}",
        "carol began",
        "carol joined b2",
        f"dave left b2 moved {one}",
        "dave progress hung-up 700",
        f"dave ended hung-up {one}",
        "dave began",
        "dave joined b1",
        "dave progress active",
    ]
    again = [fact for fact in scene.facts if fact.kind == "channel.began" and fact.data["uniqueid"] == four]
    assert [fact.call_id for fact in again] == [CallId(three), CallId(one)]
    pbx.over("b1", one, two, four)
    pbx.over("b2", three)
    scene.play()
    assert_pairs_are_whole(scene.facts)


def test_what_ended_while_the_connection_was_lost_is_told(scene: Scene) -> None:
    one, _ = scene.call()
    scene.play()
    scene.pbx.snapshot([one], [])
    scene.play()
    assert told(scene)[-4:] == [
        "bob left b1 hung-up",
        "bob progress hung-up 700",
        "bob ended hung-up",
        "alice left b1 left",
    ]
    scene.pbx.hangup(one)
    scene.play()
    assert_pairs_are_whole(scene.facts)


def test_what_ended_with_its_asterisk_was_the_networks(scene: Scene) -> None:
    scene.call()
    scene.play()
    at = scene.pbx.now + timedelta(seconds=60)
    scene.take(m.SnapshotTaken(at, (), (), (), (), at - timedelta(seconds=20)), at)
    assert [word for word in told(scene) if "ended" in word] == ["alice ended network", "bob ended network"]
    assert_pairs_are_whole(scene.facts)


def test_a_restart_tells_nothing_twice(scene: Scene) -> None:
    one, two = scene.call()
    scene.play()
    before = told(scene)
    again = scene.restarted(facts=scene.facts)
    again.pbx.snapshot([one, two], [("b1", one), ("b1", two)])
    again.play()
    assert told(again) == before
    hung_up(again.pbx, one)
    again.pbx.over("b1", one, two)
    again.play()
    assert_pairs_are_whole(again.facts)


def test_turned_on_in_the_middle_of_a_call_it_tells_who_is_there(scene: Scene) -> None:
    scene.recorder.tell_channels = False
    one, two = scene.call()
    scene.play()
    scene.recorder.tell_channels = True
    scene.pbx.hold(one)
    scene.play()
    assert told(scene) == ["alice began", "alice joined b1", "bob began", "bob joined b1", "bob progress active"]
    assert {fact.data["began"] for fact in scene.facts if fact.kind == "channel.began"} < {
        channel.began_at.isoformat() for channel in scene.recorder.tracker.channels.values()
    } | {""}
    scene.recorder.tell_channels = False
    scene.pbx.hold(one, held=False)
    scene.pbx.over("b1", one, two)
    before = told(scene)
    scene.play()
    assert told(scene) == before


def _scene_of(path: Path) -> Scene:
    users = (path / "users.yml").read_text("utf-8")
    scene = Scene(rules=(path / "rules.yml").read_text("utf-8"), users=users, tell_channels=True)
    scene.recorder.use_rules(parse_rules([("r", scene.rules)], directory(users)), People(directory(users), TRUNKS))
    return scene


def _events(path: Path) -> list[m.Event]:
    messages = read_messages((path / "events.ami").read_bytes(), str(path))
    events = [parse(message, message.received_at) for message in messages]
    return [one for one in events if one is not None and not isinstance(one, MixMonitorStarted | MixMonitorStopped)]


def _ticks(scene: Scene, until: m.Event) -> None:
    due = scene.recorder.channel_facts.wake_at()
    if due is not None and due <= until.at:
        scene.take(d.Tick(due), due)


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_the_pairs_of_every_capture_are_whole(path: Path) -> None:
    scene = _scene_of(path)
    for event in _events(path):
        _ticks(scene, event)
        scene.take(event, event.at)
    assert_pairs_are_whole(scene.facts)
    ended = [fact for fact in scene.facts if fact.kind == "channel.ended" and "into" not in fact.data]
    legs = {fact.data["uniqueid"] for fact in scene.facts if fact.kind == "channel.began"}
    assert {fact.data["uniqueid"] for fact in ended} == legs
    assert len(ended) == len(legs) > 0


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: path.name)
def test_the_pairs_of_every_capture_are_whole_over_restarts_and_lost_connections(path: Path) -> None:
    chance, events = Random(path.name), _events(path)
    full = Scene()
    scene = _scene_of(path)
    away = 0
    for event in events:
        full.take(event, event.at)
        away -= 1
        if away > 0:
            continue
        if away == 0:
            scene.take(snapshot_of(full.recorder.tracker, event.at), event.at)
            continue
        _ticks(scene, event)
        scene.take(event, event.at)
        if chance.random() < 0.1:
            away = chance.randrange(1, 8)
            scene.pbx.now = event.at
            if chance.random() < 0.5:
                scene = scene.restarted(facts=scene.facts)
    if away > 0:
        scene.take(snapshot_of(full.recorder.tracker, events[-1].at), events[-1].at)
    assert_pairs_are_whole(scene.facts)


@pytest.mark.parametrize("seed", range(30))
def test_the_pairs_are_whole_in_rough_lives(seed: int) -> None:
    world = live(seed, 150, tell_channels=True)
    assert_pairs_are_whole(world.scene.facts)
    assert any(fact.kind == "channel.left" for fact in world.scene.facts)
