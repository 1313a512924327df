"""The keys of phones on a real Asterisk, configured with what `recbridge asterisk-conf` prints."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.asterisk.snippets import FEATURE
from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.keys import KEYS_SECRET, KEYS_USER
from tests.network.network import Network
from tests.whole.test_main_job import wav
from tests.whole.test_on_demand import finished, running, talking

RULES = """\
rules:
  - {id: 1, name: Bob if he likes, record: on-demand, when: {user: bob}}
  - {id: 2, name: Who is told to, record: on-demand, when: {queue: support, online_call_record: true}}
  - {id: 3, name: Who wants all calls, record: always, when: {user_call_record: true}}
"""


@pytest.fixture
def network(keys_network: Network) -> Network:
    return keys_network


def house(network: Network, folder: Path, extra: str = "") -> Daemon:
    rules = folder / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    return Daemon(
        folder / "bridge", network.pbx_ami_port, network.spool, KEYS_USER, KEYS_SECRET, rules=rules, extra=extra
    )


async def facts(daemon: Daemon, *kinds: str) -> list[dict[str, Any]]:
    """All facts of these kinds so far, as an admin's stream tells them."""
    found: list[dict[str, Any]] = []
    async with daemon.session.ws_connect(f"{daemon.url}/api/v1/ws?since=0", headers=daemon.auth()) as ws:
        while True:
            try:
                async with asyncio.timeout(0.5):
                    item = json.loads((await ws.receive()).data)
            except TimeoutError:
                return [one for one in found if one["event"] in kinds]
            if item["type"] == "CallEvent":
                found.append(item["data"])


async def fact(daemon: Daemon, kind: str, times: int) -> list[dict[str, Any]]:
    """As soon as there are so many of this kind."""
    async with asyncio.timeout(20):
        while len(found := await facts(daemon, kind)) < times:
            pass
    return found


@pytest.mark.parametrize("extra", ["", "dtmf: true\n"], ids=["feature map", "feature map and plain DTMF"])
async def test_the_first_press_starts_the_next_pauses_the_next_resumes(
    network: Network, tmp_path: Path, extra: str
) -> None:
    async with house(network, tmp_path, extra) as daemon:
        call = await talking(network, daemon, "alice", "102")
        for state in ("recording", "paused", "recording"):
            await network.press("bob", "*3")
            await running(daemon, state, 1)
            await asyncio.sleep(1.2)
        (section,) = await finished(daemon, call)
        assert (section["type"], section["identity"], section["state"]) == ("manual", "bob", "stored")
        windows = tones.heard(wav(daemon, (await daemon.journal(2))[0]["recordId"], section))
        silent = sum(not window for window in windows[2:-2]) * tones.WINDOW_S
        assert silent == pytest.approx(1.5, abs=0.6)
        told = await facts(daemon, "record.started", "record.paused", "record.resumed", "control.refused")
        assert [one["event"] for one in told] == ["record.started", "record.paused", "record.resumed"]
        assert {one["by"] for one in told} == {"phone"}


async def test_plain_dtmf_alone_toggles_where_the_configuration_says_so(network: Network, tmp_path: Path) -> None:
    """Without the feature map there is no UserEvent."""
    async with house(network, tmp_path, "dtmf: true\n") as daemon:
        await network.pbx.action("Setvar", Variable="DYNAMIC_FEATURES", Value="")
        try:
            call = await talking(network, daemon, "alice", "102")
            await network.press("bob", "*3")
            await running(daemon, "recording", 1)
            await call.hangup()
        finally:
            await network.pbx.action("Setvar", Variable="DYNAMIC_FEATURES", Value=FEATURE)


async def test_who_may_not_hears_nothing_change_and_a_fact_says_so(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path) as daemon:
        call = await talking(network, daemon, "alice", "102")
        await network.press("alice", "*3")
        (refused,) = await fact(daemon, "control.refused", 1)
        assert (refused["verb"], refused["by"], refused["code"]) == ("toggle", "phone", "not-allowed-by-rules")
        assert refused["personal"]["identity"] == "alice"
        _, body = await daemon.get("/api/v1/calls")
        assert [one["state"] for one in body["items"][0]["rules"]] == ["offered", "unmatched", "unmatched"]
        await call.hangup()
        assert (await daemon.journal(2))[0]["recordId"] == ""


async def test_ten_presses_are_ten_presses(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, "dtmf: true\n") as daemon:
        call = await talking(network, daemon, "alice", "102")
        for _ in range(10):
            await network.press("bob", "*3")
        await fact(daemon, "record.resumed", 4)
        await fact(daemon, "record.paused", 5)
        await running(daemon, "paused", 1)
        (section,) = await finished(daemon, call)
        assert section["state"] == "stored"


async def test_a_dialled_star_26_turns_all_calls_on_and_then_off(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path) as daemon:
        recorded = []
        for times in (1, 2):
            dialled = await network.call("alice", "*26")
            await dialled.ended()
            assert len(await fact(daemon, "user.flags", times)) == times
            if times == 1:  # it outlives a restart
                await daemon.stop()
                await daemon.start()
            call = await talking(network, daemon, "alice", "103")
            await asyncio.sleep(0.5)
            await call.hangup()
            entries = await daemon.journal(3 * times)
            recorded.append(bool(entries[0]["recordId"]))
        assert recorded == [True, False]
        assert [one["enabled"] for one in await facts(daemon, "user.flags")] == [True, False]


@pytest.mark.parametrize(("toggle", "outcome"), [("true", "record.started"), ("false", "control.refused")])
async def test_a_queues_own_setting_stands_over_its_members(
    network: Network, tmp_path: Path, toggle: str, outcome: str
) -> None:
    """Rule 1 would let Bob record, and his own online_call_record_enabled is off."""
    async with house(network, tmp_path, f"queues: {{support: {{record_toggle: {toggle}}}}}\n") as daemon:
        await network.behave("carol", "ring")
        call = await network.inbound()
        await call.answered()
        await network.talking("bob")
        await fact(daemon, "talk.began", 1)
        await network.press("bob", "*3")
        (told,) = await fact(daemon, outcome, 1)
        assert told["personal"]["identity"] == "bob"
        if toggle == "true":
            assert told["rules"] == [1, 2]
        await call.hangup()
