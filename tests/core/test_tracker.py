"""Talks and calls out of events, by the ways in which calls are built."""

from collections.abc import Sequence

import pytest

from bridge.core.calls import (
    CallBegan,
    CallEnded,
    CallProgressed,
    CallsJoined,
    Changed,
    TalkBegan,
    TalkChanged,
    TalkEnded,
)
from bridge.core.ids import ChannelName, Uniqueid
from bridge.core.messages import ChannelRenamed
from bridge.core.tracker import CallTracker
from tests.core.pbx import Pbx


@pytest.fixture
def pbx() -> Pbx:
    return Pbx()


@pytest.fixture
def tracker() -> CallTracker:
    return CallTracker()


def played(tracker: CallTracker, pbx: Pbx) -> list[Changed]:
    return [change for event in pbx.take() for change in tracker.handle(event)]


def kinds(changes: Sequence[Changed]) -> list[str]:
    """What changed, but for the progress of calls that nobody talks in yet."""
    return [type(change).__name__ for change in changes if not isinstance(change, CallProgressed)]


def plain_call(pbx: Pbx) -> tuple[Uniqueid, Uniqueid]:
    alice = pbx.channel("PJSIP/alice-1", exten="102", number="101")
    bob = pbx.ring(alice, "PJSIP/bob-1", number="102")
    pbx.answered(alice, bob, "b1")
    return alice, bob


def test_a_plain_call_is_one_call_with_one_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    pbx.wait(10)
    pbx.over("b1", alice, bob)
    changes = played(tracker, pbx)
    assert kinds(changes) == ["CallBegan", "TalkBegan", "TalkEnded", "ChannelGone", "ChannelGone", "CallEnded"]
    ended = next(change for change in changes if isinstance(change, TalkEnded))
    assert set(ended.parties) == {alice, bob}
    call = changes[-1]
    assert isinstance(call, CallEnded)
    assert call.call.caller.uniqueid == alice
    assert call.call.talked_s == pytest.approx(10, abs=0.1)
    assert call.call.channels[bob].connected_s == pytest.approx(10, abs=0.1)


def test_nothing_is_held_after_a_call(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    pbx.over("b1", alice, bob)
    played(tracker, pbx)
    held = {name: value for name, value in vars(tracker).items() if isinstance(value, dict | list) and value}
    assert set(held) == {"_handlers"}


def test_one_party_alone_is_no_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice = pbx.channel("PJSIP/alice-1", exten="800")
    pbx.up(alice)
    pbx.enter("b1", alice)
    pbx.over("b1", alice)
    assert kinds(played(tracker, pbx)) == ["CallBegan", "ChannelGone", "CallEnded"]


def test_parking_is_no_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice = pbx.channel("PJSIP/alice-1")
    bob = pbx.channel("PJSIP/bob-1")
    pbx.enter("lot", alice, bob, bridge_type="base", technology="holding_bridge")
    assert kinds(played(tracker, pbx)) == ["CallBegan", "CallBegan"]


def test_conference_members_become_one_call_by_talking(tracker: CallTracker, pbx: Pbx) -> None:
    legs = [pbx.channel(f"PJSIP/{name}-1") for name in ("alice", "bob", "carol")]
    pbx.enter("conf", *legs, bridge_type="base", technology="softmix")
    changes = played(tracker, pbx)
    assert kinds(changes) == [
        "CallBegan", "CallBegan", "CallBegan", "CallsJoined", "TalkBegan", "CallsJoined", "TalkChanged",
    ]  # fmt: skip
    assert len(tracker.calls) == 1


def test_a_third_party_changes_the_talk_and_does_not_end_it(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    carol = pbx.channel("PJSIP/carol-1", of=alice)
    pbx.enter("b1", carol)
    pbx.leave("b1", bob)
    changes = [change for change in played(tracker, pbx) if isinstance(change, TalkBegan | TalkChanged | TalkEnded)]
    assert kinds(changes) == ["TalkBegan", "TalkChanged", "TalkChanged"]
    assert list(changes[0].talk.parties) == [alice, carol]


def test_another_partner_is_another_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    carol = pbx.channel("PJSIP/carol-1", of=alice)
    pbx.leave("b1", bob)
    pbx.enter("b1", carol)
    changes = [change for change in played(tracker, pbx) if isinstance(change, TalkBegan | TalkChanged | TalkEnded)]
    assert kinds(changes) == ["TalkBegan", "TalkEnded", "TalkBegan"]


def local_call(pbx: Pbx) -> tuple[Uniqueid, Uniqueid, Uniqueid, Uniqueid]:
    alice = pbx.channel("PJSIP/alice-1", exten="700")
    one, two = pbx.local("102@internal-1", alice)
    bob = pbx.ring(two, "PJSIP/bob-1")
    pbx.enter("right", bob, two)
    pbx.enter("left", one, alice)
    return alice, one, two, bob


def test_parties_talk_through_a_local_channel(tracker: CallTracker, pbx: Pbx) -> None:
    alice, _, _, bob = local_call(pbx)
    changes = played(tracker, pbx)
    assert kinds(changes) == ["CallBegan", "TalkBegan"]
    began = changes[-1]
    assert isinstance(began, TalkBegan)
    assert set(began.talk.parties) == {alice, bob}


def test_a_local_channel_that_optimises_itself_away_changes_no_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice, one, two, bob = local_call(pbx)
    played(tracker, pbx)
    # The order in which Asterisk 22.10 sends it (fixtures/local-optimised).
    pbx.optimize(one, two, begin=True)
    pbx.leave("left", alice)
    pbx.leave("right", two)
    pbx.enter("right", alice)
    pbx.optimize(one, two, begin=False)
    pbx.leave("left", one)
    pbx.hangup(one)
    pbx.destroy("left")
    pbx.hangup(two)
    assert kinds(played(tracker, pbx)) == ["ChannelGone", "ChannelGone"]
    pbx.over("right", alice, bob)
    assert kinds(played(tracker, pbx)) == ["TalkEnded", "ChannelGone", "ChannelGone", "CallEnded"]
    assert not tracker.bridges


def test_a_lost_end_of_an_optimisation_holds_nothing_up(tracker: CallTracker, pbx: Pbx) -> None:
    alice, one, two, bob = local_call(pbx)
    pbx.optimize(one, two, begin=True)
    pbx.leave("left", alice)
    pbx.leave("right", two)
    pbx.enter("right", alice)
    pbx.hangup(one, two)
    pbx.leave("right", bob)
    changes = [change for change in played(tracker, pbx) if isinstance(change, TalkBegan | TalkEnded)]
    assert kinds(changes) == ["TalkBegan", "TalkEnded"]


def test_joined_linkedids_join_calls_and_the_older_stays(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    pbx.wait(1)
    carol = pbx.channel("PJSIP/carol-1", exten="104")
    dave = pbx.ring(carol, "PJSIP/dave-1")
    pbx.answered(carol, dave, "b2")
    pbx.leave("b2", carol)
    pbx.enter("b1", carol)
    changes = played(tracker, pbx)
    joined = [change for change in changes if isinstance(change, CallsJoined)]
    assert len(joined) == 1
    assert joined[0].call.caller.uniqueid == alice
    assert list(joined[0].call.channels) == [alice, bob, carol, dave]
    pbx.over("b1", alice, bob, carol)
    assert not any(isinstance(change, CallEnded) for change in played(tracker, pbx))
    pbx.over("b2", dave)
    assert kinds(played(tracker, pbx))[-1] == "CallEnded"


def test_unknown_channels_are_taken_as_news_or_passed_over(tracker: CallTracker, pbx: Pbx) -> None:
    stranger = pbx.channel("PJSIP/zoe-1")
    pbx.take()
    pbx.leave("b9", stranger)
    pbx.hangup(stranger)
    assert played(tracker, pbx) == []
    pbx.enter("b9", stranger)
    assert kinds(played(tracker, pbx)) == ["CallBegan"]


def test_a_snapshot_ends_what_is_gone_and_begins_what_is_new(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    played(tracker, pbx)
    carol, dave = pbx.channel("PJSIP/carol-1"), pbx.channel("PJSIP/dave-1")
    pbx.take()
    pbx.snapshot([carol, dave], [("b7", carol), ("b7", dave)])
    changes = played(tracker, pbx)
    assert kinds(changes) == [
        "CallBegan", "CallBegan", "TalkEnded", "ChannelGone", "ChannelGone", "CallEnded",
        "CallsJoined", "TalkBegan",
    ]  # fmt: skip
    assert set(tracker.channels) == {carol, dave}
    assert {alice, bob}.isdisjoint(tracker.channels)


def test_a_snapshot_of_what_is_known_changes_nothing(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    played(tracker, pbx)
    pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    assert kinds(played(tracker, pbx)) == []


def test_events_from_before_the_snapshot_do_no_harm(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    earlier = pbx.take()
    pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])
    changes = played(tracker, pbx) + [change for event in earlier for change in tracker.handle(event)]
    assert kinds(changes) == ["CallBegan", "TalkBegan"]


def test_a_changed_partner_in_a_snapshot_is_another_talk(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    played(tracker, pbx)
    carol = pbx.channel("PJSIP/carol-1", of=alice)
    pbx.take()
    pbx.snapshot([alice, bob, carol], [("b1", alice), ("b1", carol)])
    assert kinds(played(tracker, pbx)) == ["TalkEnded", "TalkBegan"]


def test_a_local_half_that_was_picked_up_is_no_way_through_any_more(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = pbx.channel("PJSIP/alice-1"), pbx.channel("PJSIP/bob-1")
    one, two = pbx.local("102@x", alice)
    pbx.enter("b1", alice, one)
    pbx.enter("b2", two, bob)
    pbx.events.append(ChannelRenamed(pbx.now, one, ChannelName("PJSIP/carol-1")))
    pbx.enter("b2", pbx.channel("PJSIP/dave-1"))
    played(tracker, pbx)
    talks = {channel.talk.number: list(channel.talk.parties) for channel in tracker.channels.values() if channel.talk}
    assert sorted(map(len, talks.values())) == [2, 2]
    assert not set.intersection(*map(set, talks.values()))


def test_local_halves_alone_are_no_call(tracker: CallTracker, pbx: Pbx) -> None:
    one = pbx.channel("Local/hook@__func_periodic_hook_context__-1;1")
    two = pbx.channel("Local/hook@__func_periodic_hook_context__-1;2", of=one)
    assert played(tracker, pbx) == []
    alice = pbx.ring(two, "PJSIP/alice-1")
    assert kinds(played(tracker, pbx)) == ["CallBegan"]
    pbx.hangup(one, two, alice)
    assert kinds(played(tracker, pbx))[-1] == "CallEnded"


def test_the_call_begins_with_what_its_first_channel_says(tracker: CallTracker, pbx: Pbx) -> None:
    pbx.channel("PJSIP/trunk-1", exten="4930555", number="+4915112345", caller_name="Frau Ähre", context="from-trunk")
    (began,) = played(tracker, pbx)
    assert isinstance(began, CallBegan)
    caller = began.call.caller
    assert (caller.exten, caller.number, caller.caller_name) == ("4930555", "+4915112345", "Frau Ähre")


def test_a_snapshot_does_not_change_what_was_dialled(tracker: CallTracker, pbx: Pbx) -> None:
    alice, bob = plain_call(pbx)
    played(tracker, pbx)
    pbx.snapshot([alice, bob], [("b1", alice), ("b1", bob)])  # extension and context as of now
    assert kinds(played(tracker, pbx)) == []
    assert (tracker.channels[alice].exten, tracker.channels[alice].context) == ("102", "internal")
