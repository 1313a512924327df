"""The timeline of a finished call: who did what when, what holds it, and what holds nothing."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bridge.core.access import Reader, Role, Scope
from bridge.core.accounts import Account, account_of
from bridge.core.commands import Verb
from bridge.core.coverage import cover, stretches
from bridge.core.ids import Identity
from bridge.core.records import FactKind
from bridge.core.timeline import timeline
from tests.captures.folder import FIXTURES
from tests.core.scene import Scene
from tests.core.timelines import captured, events, kept, party, states, told

USERS = """
users:
  - {identity: alice, name: Alice Adams, extensions: ["101"], devices: [{id: a, name: A, channel: PJSIP/alice}]}
  - {identity: bob, name: Bob Baker, extensions: ["102"], devices: [{id: b, name: B, channel: PJSIP/bob}]}
"""
PAUSABLE = "rules:\n  - {id: 1, name: All, record: always, pause: user, channels: stereo, tags: [all]}\n"
CAPTURES = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir() and not (path / "known-wrong.txt").exists())


def reader(identity: str, role: Role = Role.USER) -> Reader:
    return Reader(Identity(identity), role, frozenset(Scope))


def test_an_attended_transfer_shows_the_hold_the_consultation_and_who_was_left() -> None:
    item = told(captured("22-attended-by-caller"))
    assert states(item, "PJSIP/alice") == ["waiting", "talking", "holding", "talking"]
    assert states(item, "PJSIP/bob") == ["ringing", "talking", "held", "talking"]
    assert states(item, "PJSIP/carol") == ["ringing", "talking"]
    assert events(item) == [("held", "alice"), ("transferred", "alice")]
    transfer = item["events"][1]
    alice, bob, carol = (party(item, f"PJSIP/{one}")["uniqueid"] for one in ("alice", "bob", "carol"))
    assert (transfer["how"], transfer["party"], transfer["transferred"]) == ("attended", alice, bob)
    assert transfer["target"] == carol
    assert [{one["party"] for one in talk["parties"]} for talk in item["talks"]] == [
        {alice, bob},
        {alice, carol},
        {bob, carol},
    ]
    held = next(one for one in party(item, "PJSIP/bob")["lane"] if one["state"] == "held")
    assert held["startedAt"] == item["events"][0]["at"]
    assert held["endedAt"] == transfer["at"]


def test_a_blind_transfer_shows_who_sent_whom_where() -> None:
    item = told(captured("22-blind-by-caller"))
    assert [kind for kind, _ in events(item)] == ["held", "unheld", "transferred"]
    transfer = item["events"][2]
    assert (transfer["how"], transfer["identity"], transfer["number"]) == ("blind", "alice", "103")
    assert transfer["transferred"] == party(item, "PJSIP/bob")["uniqueid"]
    assert transfer["target"] == party(item, "PJSIP/carol")["uniqueid"]
    assert states(item, "PJSIP/bob")[-2:] == ["waiting", "talking"]


def test_a_refer_is_a_blind_transfer() -> None:
    item = told(captured("22-refer-by-callee"))
    (transfer,) = item["events"]
    assert (transfer["kind"], transfer["how"], transfer["identity"]) == ("transferred", "blind", "bob")
    assert transfer["target"] == party(item, "PJSIP/carol")["uniqueid"]


def test_a_refer_with_replaces_is_an_attended_transfer_of_both_legs() -> None:
    item = told(captured("22-replaces-by-caller"))
    assert events(item) == [("held", "alice"), ("unheld", "alice"), ("transferred", "alice")]
    assert item["events"][2]["how"] == "attended"
    assert item["events"][2]["target"] == party(item, "PJSIP/carol")["uniqueid"]
    assert states(item, "PJSIP/bob") == ["ringing", "talking", "held", "talking"]


def test_what_comes_back_to_the_transferer_was_taken_by_nobody() -> None:
    item = told(captured("22-blind-not-answered-comes-back"))
    transfer = next(one for one in item["events"] if one["kind"] == "transferred")
    assert transfer["target"] is None
    assert party(item, "PJSIP/dave")["status"] == "NOANSWER"
    assert states(item, "PJSIP/dave") == ["ringing"]


def test_a_hold_is_in_both_lanes_and_no_gap() -> None:
    item = told(captured("22-hold-by-callee"))
    assert events(item) == [("held", "bob"), ("unheld", "bob")]
    assert states(item, "PJSIP/alice") == ["waiting", "talking", "held", "talking"]
    assert states(item, "PJSIP/bob") == ["ringing", "talking", "holding", "talking"]
    alice = party(item, "PJSIP/alice")
    talking_ms = sum(one["endedAt"] - one["startedAt"] for one in alice["lane"] if one["state"] == "talking")
    assert alice["talkedS"] == pytest.approx(talking_ms / 1000, abs=0.003)
    assert {one["ruleId"] for one in item["gaps"]} == {4}


def test_a_hold_lasts_until_the_hangup_of_who_holds() -> None:
    item = told(captured("22-hold-until-hangup"))
    assert [kind for kind, _ in events(item)] == ["held"]
    assert states(item, "PJSIP/trunk") == ["waiting", "talking", "held"]
    assert states(item, "PJSIP/bob") == ["ringing", "talking", "holding"]


def test_who_is_parked_is_parked_until_somebody_takes_it() -> None:
    item = told(captured("22-parked-by-caller"))
    assert [kind for kind, _ in events(item)] == ["parked", "unparked"]
    assert states(item, "PJSIP/bob") == ["ringing", "talking", "parked", "talking"]
    parked, unparked = item["events"]
    assert parked["party"] == unparked["party"] == party(item, "PJSIP/bob")["uniqueid"]


def test_a_blind_transfer_into_the_parking_lot_was_to_nobody() -> None:
    item = told(captured("22-parked-by-blind-transfer"))
    transfer = next(one for one in item["events"] if one["kind"] == "transferred")
    assert (transfer["target"], transfer["number"]) == (None, "720")


@pytest.mark.parametrize("name", CAPTURES)
def test_every_capture_has_lanes_without_gaps_and_presences_within_their_talks(name: str) -> None:
    scene = captured(name)
    if sum(bool(one.talked_s) for one in scene.cdrs) != 1:
        pytest.skip("not one call with a talk")
    item = told(scene)
    for one in item["parties"]:
        assert item["startedAt"] <= one["startedAt"] <= one["endedAt"] <= item["endedAt"]
        if one["lane"]:
            assert one["lane"][0]["startedAt"] - one["startedAt"] <= 1
            assert one["endedAt"] - one["lane"][-1]["endedAt"] <= 1
        assert all(
            0 <= after["startedAt"] - before["endedAt"] <= 1 and before["state"] != after["state"]
            for before, after in pairwise(one["lane"])
        )
    parties = {one["uniqueid"] for one in item["parties"]}
    for talk in item["talks"]:
        assert len({one["party"] for one in talk["parties"]}) >= 2
        assert {one["party"] for one in talk["parties"]} <= parties
        for there in talk["parties"]:
            assert talk["startedAt"] <= there["startedAt"] <= there["endedAt"] <= talk["endedAt"]
    for section in item["sections"]:
        assert section["leg"] in parties
        assert section["talk"] in {"", *(talk["id"] for talk in item["talks"])}
    for event in item["events"]:
        assert event["party"] is None or event["party"] in parties
        assert event["target"] is None or event["target"] in parties


@pytest.mark.parametrize("name", CAPTURES)
def test_every_capture_has_gaps_that_add_up_to_its_coverage(name: str) -> None:
    scene = captured(name)
    for cdr in scene.cdrs:
        talks = [talk for talk in scene.talks.values() if talk.call_id == cdr.call_id]
        known = {talk.talk_id for talk in talks}
        spans = [span for span in scene.spans.values() if span.talk_id in known]
        sections = [account_of(one) for one in scene.sections.values() if one.talk_id in known]
        account = Account(1, cdr, talks, spans, sections)
        for rule in cover(account, []).rules:
            parts = [one for one in stretches(account, []) if one.rule_id == rule.rule_id]
            sums: dict[object, float] = {}
            for one in parts:
                sums[one.reason] = sums.get(one.reason, 0.0) + (one.ended_at - one.began_at).total_seconds()
            assert sums.pop(None, 0.0) == pytest.approx(rule.recorded_s)
            assert sums == pytest.approx(dict(rule.reasons))
            assert all(
                (before.talk_id, before.reason) != (after.talk_id, after.reason) or before.ended_at != after.began_at
                for before, after in pairwise(parts)
            )


def paused_call() -> Scene:
    scene = Scene(rules=PAUSABLE, users=USERS)
    one, two = scene.call()
    scene.play()
    scene.pbx.wait(5)
    scene.ask(Verb.PAUSE, one, "alice")
    scene.pbx.wait(3)
    scene.ask(Verb.RESUME, one, "alice")
    scene.pbx.wait(2)
    scene.ask(Verb.STOP, two, "bob")
    scene.pbx.over("b1", one, two)
    scene.play()
    return scene


def test_a_pause_has_its_stretch_who_did_it_and_the_gap() -> None:
    item = told(paused_call())
    assert events(item) == [("paused", "alice"), ("resumed", "alice"), ("refused", "bob")]
    assert [(one["how"], one["ruleIds"]) for one in item["events"][:2]] == [("api", [1]), ("api", [1])]
    assert (item["events"][2]["verb"], item["events"][2]["code"]) == ("stop", "recording-automatic")
    (pause,) = item["pauses"]
    assert (pause["ruleId"], pause["identity"], pause["endedAt"] - pause["startedAt"]) == (1, "alice", 3000)
    (gap,) = item["gaps"]
    assert (gap["reason"], gap["fault"]) == ("paused", False)
    assert (gap["startedAt"], gap["endedAt"]) == (pause["startedAt"], pause["endedAt"])


def test_a_stereo_section_says_who_is_on_which_side_and_when_its_file_begins() -> None:
    item = told(paused_call())
    (section,) = item["sections"]
    alice, bob = (party(item, f"PJSIP/{one}")["uniqueid"] for one in ("alice", "bob"))
    assert (section["left"], section["right"]) == ([alice], [bob])
    assert section["startedAt"] - item["startedAt"] == round(section["offsetS"] * 1000)
    assert (section["playable"], section["deleted"], section["tags"]) == (True, False, ["all"])


def test_a_deleted_section_stays_and_plays_no_more() -> None:
    scene = paused_call()
    whole = kept(scene)
    sections = [replace(one, deleted_at=whole.cdr.ended_at) for one in whole.sections]
    (section,) = timeline(replace(whole, sections=sections), reader("root", Role.ADMIN), {})["sections"]
    assert (section["playable"], section["deleted"]) == (False, True)


def test_what_somebody_tried_in_vain_is_told_to_him_and_admins_alone() -> None:
    scene = paused_call()
    assert "refused" not in {kind for kind, _ in events(told(scene, reader("alice")))}
    assert "refused" in {kind for kind, _ in events(told(scene, reader("bob")))}


def test_sections_are_told_to_those_who_may_see_them() -> None:
    scene = captured("22-attended-by-caller")
    assert [one["file"] for one in told(scene, reader("carol"))["sections"]] == [2, 3]
    assert [one["file"] for one in told(scene, reader("dave"))["sections"]] == []


def test_a_rule_that_is_in_force_has_its_name() -> None:
    whole = kept(paused_call())
    (section,) = timeline(whole, reader("root", Role.ADMIN), {whole.sections[0].rule_id: "All"})["sections"]
    assert section["ruleName"] == "All"


def test_a_call_from_before_parties_were_kept_shows_what_its_facts_and_cdr_know() -> None:
    scene = captured("22-attended-by-caller")
    whole = kept(scene)
    new = {FactKind.CALL_TRANSFERRED, FactKind.PARTY_HELD, FactKind.PARTY_UNHELD}
    facts = [
        replace(one, data={name: value for name, value in one.data.items() if name != "parties"})
        for one in whole.facts
        if one.kind not in new
    ]
    item = timeline(replace(whole, parties=(), facts=facts), reader("root", Role.ADMIN), {})
    assert [(one["channel"].partition("-")[0], one["identity"]) for one in item["parties"]] == [
        ("PJSIP/bob", "bob"),
        ("PJSIP/alice", "alice"),
        ("PJSIP/carol", ""),
    ]
    assert len(item["talks"]) == 3
    assert {one["leg"] for one in item["sections"]} <= {one["uniqueid"] for one in item["parties"]}
    assert item["events"] == []
    assert item["gaps"] == told(scene)["gaps"]


def test_a_call_of_which_no_talks_were_accounted_for_has_talks_and_no_gaps() -> None:
    whole = kept(captured("22-blind-by-caller"))
    item = timeline(replace(whole, talks=(), stretches=()), reader("root", Role.ADMIN), {})
    assert len(item["talks"]) == 2
    assert item["gaps"] == []
    assert all(talk["endedAt"] <= item["endedAt"] for talk in item["talks"])
