"""Rules that change while calls go on, and options of rules on real audio."""

import asyncio
import json
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.network import Network
from tests.whole.test_main_job import talk, wav

RULE = "rules:\n  - {{id: {id}, name: All, record: always, {options}}}\n"


def house(network: Network, folder: Path, text: str) -> Daemon:
    rules = folder / "rules"
    rules.mkdir()
    (rules / "10.yml").write_text(text)
    return Daemon(folder / "b", network.pbx_ami_port, network.spool, rules=rules)


async def reload(daemon: Daemon, text: str) -> None:
    (daemon.rules / "10.yml").write_text(text)
    daemon.hang_up()


async def loaded(daemon: Daemon, times: int) -> None:
    async with asyncio.timeout(20):
        while daemon.log.count('"rules-loaded"') < times:  # noqa: ASYNC110 - the daemon is another process
            await asyncio.sleep(0.02)


async def one_call(daemon: Daemon, network: Network, entries: int = 2) -> Sequence[Mapping[str, Any]]:
    await talk(network, "alice", "102")
    entry = (await daemon.journal(entries))[0]
    return await daemon.records(entry["recordId"]) if entry["recordId"] else []


async def test_a_rule_changed_during_a_call_counts_at_the_next_talk(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, RULE.format(id=1, options="tags: [old]")) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        await asyncio.sleep(0.5)
        await reload(daemon, RULE.format(id=2, options="tags: [new]"))
        await loaded(daemon, 1)
        await asyncio.sleep(0.5)
        await call.hangup()
        entry = (await daemon.journal(2))[0]
        (section,) = await daemon.records(entry["recordId"])
        assert (section["ruleId"], section["tags"]) == (1, ["old"])
        (section,) = await one_call(daemon, network, 4)
        assert (section["ruleId"], section["tags"]) == (2, ["new"])


async def test_a_broken_edit_leaves_the_rules_in_force_and_says_so(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, RULE.format(id=1, options="tags: []")) as daemon:
        await reload(daemon, "rules:\n  - {id: 2, name: B, recrod: always}\n")
        await daemon.until_not_ready("rules-refused")
        _, body = await daemon.get("/ready")
        assert "10.yml:2:5" in body["messages"][0]["message"]
        assert "did you mean record?" in daemon.log
        (section,) = await one_call(daemon, network)
        assert section["ruleId"] == 1
        # A start after the bad edit takes the last good set, and is not ready.
        await daemon.stop()
        daemon.wait_ready = False
        await daemon.start()
        await daemon.until_not_ready("rules-refused")
        (section,) = await one_call(daemon, network, 4)
        assert section["ruleId"] == 1
        await reload(daemon, RULE.format(id=3, options="tags: []"))
        await daemon.until_ready()


async def test_stereo_has_each_party_on_its_own_side_for_as_long_as_the_talk(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, RULE.format(id=1, options="channels: stereo, rate: 16000")) as daemon:
        (section,) = await one_call(daemon, network)
        entry = (await daemon.journal(2))[0]
        path = wav(daemon, entry["recordId"], section)
        assert [tones.seconds(path, channel=side).keys() for side in (0, 1)] == [{"alice"}, {"bob"}]
        lengths = [seconds for side in (0, 1) for seconds in tones.seconds(path, channel=side).values()]
        assert min(lengths) > section["duration"] - 0.4
        with wave.open(str(path)) as audio:
            assert (audio.getnchannels(), audio.getframerate()) == (2, 16000)
        assert [one.name for one in path.parent.iterdir() if entry["recordId"] in one.name] == [path.name]


async def test_start_answer_records_what_the_pbx_says_before_the_talk(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, RULE.format(id=1, options="start: answer")) as daemon:
        call = await network.call("dave", "800")
        await call.answered()
        await asyncio.sleep(1.5)
        await call.hangup()
        entry = (await daemon.journal(1))[0]
        (section,) = await daemon.records(entry["recordId"])
        assert entry["recordId"].endswith("_0")
        assert "announcement" in tones.who(wav(daemon, entry["recordId"], section))


async def test_the_longest_section_is_followed_without_a_gap(network: Network, tmp_path: Path) -> None:
    async with house(network, tmp_path, RULE.format(id=1, options="section: 10s")) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        await asyncio.sleep(11.5)
        await call.hangup()
        entry = (await daemon.journal(2))[0]
        first, second = await daemon.records(entry["recordId"])
        assert second["startedAt"] <= first["endedAt"]
        for section in (first, second):
            assert tones.who(wav(daemon, entry["recordId"], section)) == {"alice", "bob"}


async def test_a_variable_of_the_call_decides_without_a_change_in_asterisk(network: Network, tmp_path: Path) -> None:
    text = RULE.format(id=1, options="when: {variable: {CAMPAIGN: 'spring*'}}")
    async with house(network, tmp_path, text) as daemon:
        await network.behave("bob", "ring")
        call = await network.call("alice", "102")
        await network.ringing("bob")
        channels = [one["Channel"] for one in await network.channels() if "alice" in one["Channel"]]
        await network.pbx.action("Setvar", Channel=channels[0], Variable="__CAMPAIGN", Value="spring-2")
        await call.hangup()
        assert {one["recordId"] for one in await daemon.journal(2)} == {""}
        await network.behave("bob", "answer", after_s=1.0)
        call = await network.call("alice", "102")
        await network.ringing("bob")
        channels = [one["Channel"] for one in await network.channels() if "alice" in one["Channel"]]
        await network.pbx.action("Setvar", Channel=channels[0], Variable="__CAMPAIGN", Value="spring-2")
        await call.answered()
        await asyncio.sleep(1)
        await call.hangup()
        assert (await daemon.journal(4))[0]["recordId"] != ""


async def explained(daemon: Daemon, *words: str) -> Any:
    code, said, error = await daemon.command("explain", *words, "--json")
    assert (code, error) == (0, "")
    return json.loads(said)


async def test_a_call_is_explained_by_the_rules_of_then_after_a_reload_and_a_restart(
    network: Network, tmp_path: Path
) -> None:
    never = 'rules:\n  - {id: 2, name: Other, record: never, when: {variable: {RULE_TEST: "*"}}}\n'
    async with house(network, tmp_path, RULE.format(id=1, options="when: {direction: internal}")) as daemon:
        call = await network.call("alice", "102")
        await call.answered()
        (running,) = (await daemon.get("/api/v1/calls"))[1]["items"]
        channel = running["parties"][0]["channel"]
        first = await explained(daemon, channel)
        assert [told["answers"]["recording"] for talk in first["talks"] for told in talk["asked"]] == [[1]]
        await reload(daemon, never)
        await loaded(daemon, 1)
        await call.hangup()
        await daemon.journal(2)
        await talk(network, "alice", "102")
        await daemon.journal(4)
        await daemon.stop()
        await daemon.start()
        await daemon.until_ready()
        one, two = await explained(daemon, "1"), await explained(daemon, "2")
        assert one["call"]["callId"] == first["call"]["callId"]
        ((then,),) = (of["asked"] for of in one["talks"])
        assert then["answers"]["recording"] == [1]
        assert then["talk"] == first["talks"][0]["asked"][0]["talk"]
        assert (then["talk"]["direction"], then["talk"]["dialed"]) == ("internal", "102")
        ((now,),) = (of["asked"] for of in two["talks"])
        assert [(rule["ruleId"], rule["failed"]["key"]) for rule in now["answers"]["rules"]] == [
            (2, "variable.RULE_TEST")
        ]
        assert now["rulesSince"] > then["rulesSince"]
        again = await explained(daemon, "1", "--rules", str(daemon.rules))
        assert again["talks"][0]["asked"][0]["answers"]["rules"][0]["undecided"] == ["RULE_TEST"]
        code, said, _ = await daemon.command("replay", "--since", "1h", "--rules", str(daemon.rules), "--json")
        assert code == 0
        (item,) = json.loads(said)["items"]
        assert (item["cdr"], item["difference"]) == (1, "not recorded any more")
        shown = (await daemon.get("/api/v1/rules"))[1]
        assert [(rule["ruleId"], rule["line"]) for rule in shown["items"]] == [(2, 2)]
        assert shown["since"] == now["rulesSince"]
