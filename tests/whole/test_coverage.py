"""What an admin is told of finished calls on a real Asterisk: recorded so long by this rule, or not, and why."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.demo.daemon import Daemon
from tests.network.ami import AmiError
from tests.network.call import Call
from tests.network.network import Network

RULES = """\
rules:
  - {id: 1, name: Alice's calls, record: always, when: {caller: alice}, pause: user}
  - {id: 2, name: Not with carol, record: never, when: {user: carol}}
"""
NEAR_S = 0.5

Item = dict[str, Any]


async def started(network: Network, daemon: Daemon, caller: str, number: str) -> Call:
    """A call that talks, and of which all rules that record it do."""
    call = await network.call(caller, number)
    await call.answered()
    async with asyncio.timeout(20):
        while True:
            _, body = await daemon.get("/api/v1/calls")
            states = [rule["state"] for item in body["items"] for rule in item["rules"]]
            if any(item["talkingSince"] for item in body["items"]) and not {"matched", "requested"} & set(states):
                return call
            await asyncio.sleep(0.02)


async def finished(daemon: Daemon, calls: int) -> Item:
    """The newest of so many calls, once all is looked into."""
    async with asyncio.timeout(20):
        while True:
            status, body = await daemon.get("/api/v1/coverage")
            assert status == 200, body
            pending = any("unchecked" in rule["reasons"] for item in body["items"] for rule in item["rules"])
            if body["total"] == calls and not pending:
                item: Item = body["items"][0]
                return fitting(item)
            await asyncio.sleep(0.05)


def fitting(item: Item) -> Item:
    for one in (item, *item["rules"]):
        assert one["recordedS"] + sum(one["reasons"].values()) == pytest.approx(one["talkedS"], abs=0.01)
    return item


def rule_of(item: Item, rule_id: int | None) -> Item:
    (found,) = (rule for rule in item["rules"] if rule["ruleId"] == rule_id)
    return dict(found)


async def ask(daemon: Daemon, verb: str, channel: str) -> None:
    url = f"{daemon.url}/api/v1/monitor/{verb}"
    async with daemon.session.post(url, json={"channel": channel}, headers=daemon.auth()) as response:
        assert response.status == 200, await response.text()


async def test_every_second_of_a_call_is_recorded_or_has_its_reason(network: Network, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=rules) as daemon:
        call = await started(network, daemon, "alice", "102")
        await asyncio.sleep(2)
        await call.hangup()
        one = rule_of(await finished(daemon, 1), 1)
        assert one["recordedS"] == pytest.approx(one["talkedS"], abs=NEAR_S)
        assert set(one["reasons"]) <= {"starting", "ending"}
        assert one["talkedS"] >= 2

        call = await started(network, daemon, "alice", "103")
        await asyncio.sleep(1)
        await call.hangup()
        item = await finished(daemon, 2)
        assert [rule["ruleId"] for rule in item["rules"]] == [1, 2]
        for rule in item["rules"]:
            assert rule["reasons"] == {"never": pytest.approx(rule["talkedS"], abs=0.001)}

        call = await started(network, daemon, "alice", "102")
        alice = next(one["Channel"] for one in await network.channels() if "/alice-" in one["Channel"])
        await asyncio.sleep(1)
        await ask(daemon, "pause", alice)
        await asyncio.sleep(1)
        await ask(daemon, "resume", alice)
        await asyncio.sleep(1)
        await call.hangup()
        one = rule_of(await finished(daemon, 3), 1)
        paused_s = one["reasons"].pop("paused")
        assert 1 <= paused_s < one["talkedS"] - 1.5
        assert one["recordedS"] == pytest.approx(one["talkedS"] - paused_s, abs=NEAR_S)
        assert set(one["reasons"]) <= {"starting", "ending"}

        call = await started(network, daemon, "bob", "104")
        await asyncio.sleep(1)
        await call.hangup()
        item = await finished(daemon, 4)
        assert rule_of(item, None)["reasons"] == {"no-rule": pytest.approx(item["talkedS"], abs=0.001)}

        code, out, err = await daemon.command("coverage")
        assert (code, err) == (0, "")
        assert [line.split()[:2] for line in out.splitlines()[2:]] == [["none", "1"], ["1", "3"], ["2", "1"]]

        # The daemon is killed, and the recording goes on in Asterisk.
        call = await started(network, daemon, "alice", "102")
        await asyncio.sleep(1)
        await daemon.kill()
        await asyncio.sleep(1)
        await daemon.start()
        await asyncio.sleep(1)
        await call.hangup()
        item = await finished(daemon, 5)
        one = rule_of(item, 1)
        assert one["talkedS"] >= 3
        assert one["recordedS"] == pytest.approx(one["talkedS"], abs=NEAR_S)
        assert "unknown" not in one["reasons"]

        # It is killed, and what it has never begun nobody records meanwhile.
        await daemon.kill()
        call = await network.call("alice", "102")
        await call.answered()
        await asyncio.sleep(1)
        await daemon.start()
        await asyncio.sleep(1)
        await call.hangup()
        one = rule_of(await finished(daemon, 6), 1)
        assert one["recordedS"] == pytest.approx(one["talkedS"], abs=NEAR_S)  # it begins when we see it

        assert await daemon.stop() == 0
        code, out, _ = await daemon.command("coverage", "--json")
        said = json.loads(out)
        assert (code, said["total"], said["totals"]["faulty"]) == (0, 6, 0)
        assert [fitting(one)["talkedS"] for one in said["items"]][4] == item["talkedS"]


async def test_what_was_not_recorded_while_asterisk_could_not_be_seen_says_so_and_is_an_alarm(
    network: Network, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "b", network.pbx_ami_port, network.spool, rules=rules) as daemon:
        call = await started(network, daemon, "alice", "102")
        await daemon.kill()
        # Somebody ends what records, and nobody is there to begin the next section.
        stopped = 0
        for one in await network.channels():
            with contextlib.suppress(AmiError):  # on that leg there is none
                await network.pbx.action("StopMixMonitor", Channel=one["Channel"])
                stopped += 1
        assert stopped == 1
        await asyncio.sleep(2.5)
        await daemon.start()
        await asyncio.sleep(1)
        await call.hangup()
        rule = rule_of(await finished(daemon, 1), 1)
        assert rule["reasons"]["recbridge-away"] > 2
        assert rule["recordedS"] >= 0.5
        code, out, _ = await daemon.command("coverage")
        assert code == 1
        assert "recbridge-away" in out.split("Missing, and should not be:")[1]
