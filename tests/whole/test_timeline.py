"""The timeline of a call on a real Asterisk: holds, a pause, transfers and parking, as they were made."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.core.timeline_items import TimelineItem
from tests.core.timelines import events, party, states
from tests.demo.daemon import Daemon
from tests.flows import sip_phone
from tests.flows.steps import bob_asks_carol, hands_over, happened
from tests.flows.together import together
from tests.network import chroot
from tests.network.network import Network
from tests.whole.test_coverage import ask, started

RULES = "rules:\n  - {id: 1, name: All, record: always, pause: user, channels: stereo}\n"
NEAR_MS = 300
"""The daemon's clock is ours, and Asterisk's events say when they happened: what is compared is when it was asked."""


def house(network: Network, folder: Path) -> Daemon:
    rules = folder / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    return Daemon(folder / "b", network.pbx_ami_port, network.spool, rules=rules)


async def finished(daemon: Daemon, number: int) -> dict[str, Any]:
    """The call of this number, once all that was recorded of it is looked into."""
    async with asyncio.timeout(30):
        while True:
            status, item = await daemon.get(f"/api/v1/cdrs/{number}")
            if status == 200 and all(one["state"] == "stored" for one in item["timeline"]["sections"]):
                return cast("dict[str, Any]", item)
            await asyncio.sleep(0.05)


def stamp(event: dict[str, str]) -> int:
    return int(float(event["Timestamp"]) * 1000)


def at(item: TimelineItem, kind: str) -> int:
    (found,) = (one["at"] for one in item["events"] if one["kind"] == kind)
    return found


def recorded(item: TimelineItem) -> set[frozenset[str]]:
    """Whom the stereo sections have on their two sides, by identity."""
    who = {one["uniqueid"]: one["identity"] for one in item["parties"]}
    return {frozenset(who[one] for one in (*section["left"], *section["right"])) for section in item["sections"]}


@pytest.mark.timeout(240)
async def test_a_call_with_a_hold_a_pause_and_two_transfers_is_told_as_it_was(
    asterisk_chroot: object,  # noqa: ARG001  # without one this is skipped
    tmp_path: Path,
) -> None:
    async with (
        Network(suite=chroot.SUITE, phones_extra=sip_phone.PHONES_EXTRA) as net,
        house(net, tmp_path) as daemon,
    ):
        call = await started(net, daemon, "alice", "102")
        await together(net, "alice", "bob")
        mark = net.pbx.mark
        await sip_phone.hold(net, "bob")
        hold = await happened(net, "Hold", since=mark, Channel="PJSIP/bob-")
        await asyncio.sleep(1)
        await sip_phone.unhold(net, "bob")
        unhold = await happened(net, "Unhold", since=mark, Channel="PJSIP/bob-")
        await asyncio.sleep(0.5)
        await ask(daemon, "pause", hold["Channel"])
        await asyncio.sleep(1)
        await ask(daemon, "resume", hold["Channel"])
        await asyncio.sleep(0.5)
        await hands_over(net, "bob", began := await bob_asks_carol(net))
        attended = await happened(net, "AttendedTransfer", since=began)
        await together(net, "alice", "carol")
        mark = net.pbx.mark
        await sip_phone.refer(net, "carol", "104")
        refer = await happened(net, "BlindTransfer", since=mark)
        await together(net, "alice", "dave")
        await call.hangup()

        detail = await finished(daemon, 1)
        item = cast("TimelineItem", detail["timeline"])
        assert [one for one in events(item) if one[0] not in ("held", "unheld")] == [
            ("paused", "admin"),
            ("resumed", "admin"),
            ("transferred", "bob"),
            ("transferred", "carol"),
        ]
        held = [one for one in item["events"] if one["kind"] in ("held", "unheld")]
        assert [(one["kind"], one["identity"]) for one in held[:2]] == [("held", "bob"), ("unheld", "bob")]
        assert [one["at"] for one in held[:2]] == pytest.approx([stamp(hold), stamp(unhold)], abs=2)
        first, second = (one for one in item["events"] if one["kind"] == "transferred")
        uniqueids = {one: party(item, f"PJSIP/{one}")["uniqueid"] for one in ("alice", "bob", "carol", "dave")}
        assert (first["how"], first["transferred"]) == ("attended", uniqueids["alice"])
        assert (first["target"], second["target"]) == (uniqueids["carol"], uniqueids["dave"])
        assert (second["how"], second["transferred"], second["number"]) == ("blind", uniqueids["alice"], "104")
        assert [first["at"], second["at"]] == pytest.approx([stamp(attended), stamp(refer)], abs=2)

        assert states(item, "PJSIP/bob", 150)[-4:] == ["holding", "talking", "holding", "talking"]
        alice = states(item, "PJSIP/alice", 150)
        assert alice.count("held") == 2
        assert alice[-1] == "talking"
        assert states(item, "PJSIP/carol", 150)[-1] == "talking"
        hold_of_alice = next(one for one in party(item, "PJSIP/alice")["lane"] if one["state"] == "held")
        assert (hold_of_alice["startedAt"], hold_of_alice["endedAt"]) == (held[0]["at"], held[1]["at"])

        (pause,) = item["pauses"]
        assert (pause["ruleId"], pause["identity"]) == (1, "admin")
        assert pause["startedAt"] == pytest.approx(at(item, "paused"), abs=NEAR_MS)
        assert pause["endedAt"] == pytest.approx(at(item, "resumed"), abs=NEAR_MS)
        assert [(one["reason"], one["startedAt"]) for one in item["gaps"] if one["reason"] == "paused"] == [
            ("paused", pause["startedAt"])
        ]
        assert not any(one["fault"] for one in item["gaps"])
        pairs = [("alice", "bob"), ("bob", "carol"), ("alice", "carol"), ("alice", "dave")]
        assert recorded(item) == {frozenset(one) for one in pairs}
        for section in item["sections"]:
            talk = next(one for one in item["talks"] if one["id"] == section["talk"])
            assert section["startedAt"] >= talk["startedAt"]
            assert section["durationS"] is not None
            assert section["durationS"] * 1000 == pytest.approx(talk["endedAt"] - section["startedAt"], abs=NEAR_MS)

        journal = {one["userName"]: one for one in await daemon.journal(4)}
        assert {(name, one["result"], one["resultDetails"]) for name, one in journal.items()} == {
            ("alice", "hangup", ""),
            ("bob", "redirect", "to"),
            ("carol", "redirect", "to"),
            ("dave", "hangup", ""),
        }
