"""The whole way on a real Asterisk: a call, a rule, a recording, a journal entry, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.call import CallFailedError
from tests.network.network import Network

TALK_S = 1.5
RULES = """\
rules:
  - {id: 1, name: Inside, record: always, when: {direction: internal}}
  - {id: 2, name: Support, record: always, when: {direction: inbound, queue: support}}
  - {id: 3, name: Outbound, record: always, when: {direction: outbound, number: "030*"}}
  - {id: 4, name: Bob's calls from outside, record: always, when: {direction: inbound, user: "group:support"}}
"""


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as running:
        yield running


def wav(daemon: Daemon, record_id: str, section: Mapping[str, Any]) -> Path:
    (path,) = daemon.spool.rglob(f"{record_id}_{section['ruleId']}_{section['file']:03d}.wav")
    return path


async def recorded(daemon: Daemon, record_id: str) -> dict[int, set[str]]:
    """Who is heard in the one stored section of each rule."""
    sections = await daemon.records(record_id)
    assert {section["state"] for section in sections} == {"stored"}
    assert {section["file"] for section in sections} == {1}
    return {section["ruleId"]: tones.who(wav(daemon, record_id, section)) for section in sections}


async def talk(network: Network, caller: str, number: str) -> None:
    call = await network.call(caller, number)
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()


async def test_a_call_inside_is_recorded_and_journalled_for_both(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "102")
    journal = {entry["userName"]: entry for entry in await daemon.journal(2)}
    alice, bob = journal["alice"], journal["bob"]
    assert (alice["inbound"], alice["internal"], alice["result"]) == (False, True, "hangup")
    assert (alice["name"], alice["number"], alice["extension"]) == ("Bob", "102", "101")
    assert (bob["inbound"], bob["name"], bob["number"]) == (True, "Alice", "101")
    assert (bob["userId"], bob["deviceName"], alice["locationName"]) == ("7", "Desk", "Office")
    assert alice["recordId"] == bob["recordId"]
    assert await recorded(daemon, alice["recordId"]) == {1: {"alice", "bob"}}
    (section,) = await daemon.records(alice["recordId"])
    assert section["duration"] == pytest.approx(TALK_S, abs=0.5)
    assert section["audioFiles"][0]["size"] == wav(daemon, alice["recordId"], section).stat().st_size


async def test_a_call_from_outside_through_a_queue(daemon: Daemon, network: Network) -> None:
    await network.behave("carol", "ring")
    call = await network.inbound("+4915112345", name="Erika Ähre")
    await call.answered()
    await asyncio.sleep(TALK_S)
    await call.hangup()
    journal = {entry["userName"]: entry for entry in await daemon.journal(2)}
    bob, carol = journal["bob"], journal["carol"]
    assert (bob["via"], bob["viaDetails"], bob["internal"]) == ("queue", "support", False)
    assert (bob["name"], bob["number"]) == ("Erika Ähre", "+4915112345")
    assert (carol["result"], carol["connected"]) == ("cancel", 0)
    # Both rules that match record, each on its own.
    assert await recorded(daemon, bob["recordId"]) == {2: {"bob", "outside"}, 4: {"bob", "outside"}}


async def test_a_call_to_the_outside(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "0301234567")
    await talk(network, "alice", "0401234567")
    journal = {entry["number"]: entry for entry in await daemon.journal(2)}
    assert await recorded(daemon, journal["0301234567"]["recordId"]) == {3: {"alice", "outside"}}
    assert journal["0401234567"]["recordId"] == ""  # rule 3 wants 030


async def test_of_a_ring_group_only_the_leg_that_answered_is_recorded(daemon: Daemon, network: Network) -> None:
    await network.behave("carol", "ring")
    await talk(network, "alice", "600")
    journal = {entry["userName"]: entry for entry in await daemon.journal(3)}
    assert {entry["via"] for entry in journal.values()} == {"group"}
    assert (journal["bob"]["result"], journal["carol"]["result"]) == ("hangup", "cancel")
    assert await recorded(daemon, journal["bob"]["recordId"]) == {1: {"alice", "bob"}}


@pytest.mark.parametrize("extension", ["700", "701"], ids=["optimised away", "kept"])
async def test_a_local_channel_between_the_parties_cuts_nothing(
    daemon: Daemon, network: Network, extension: str
) -> None:
    await talk(network, "alice", extension)
    entry = (await daemon.journal(2))[0]
    (section,) = await daemon.records(entry["recordId"])
    path = wav(daemon, entry["recordId"], section)
    heard = tones.seconds(path)
    assert set(heard) == {"alice", "bob"}
    assert min(heard.values()) == pytest.approx(TALK_S, abs=0.4)


async def test_what_is_no_talk_leaves_no_file_and_no_record(daemon: Daemon, network: Network) -> None:
    before = set(daemon.spool.rglob("*.wav"))
    await network.behave("bob", "busy")
    with pytest.raises(CallFailedError):
        await (await network.call("alice", "102")).answered()
    await network.behave("bob", "ring")
    call = await network.call("alice", "102")
    await network.ringing("bob")
    await call.hangup()
    answered_by_pbx = await network.call("dave", "800")
    await answered_by_pbx.answered()
    await asyncio.sleep(0.5)
    await answered_by_pbx.hangup()
    entries = await daemon.journal(5)
    assert {entry["recordId"] for entry in entries} == {""}
    assert sorted((entry["userName"], entry["result"]) for entry in entries) == [
        ("alice", "busy"), ("alice", "cancel"), ("bob", "busy"), ("bob", "cancel"), ("dave", "hangup"),
    ]  # fmt: skip
    assert set(daemon.spool.rglob("*.wav")) == before


async def test_the_stream_tells_of_start_and_stop_and_then_of_the_journal(daemon: Daemon, network: Network) -> None:
    seen: list[tuple[str, str]] = []

    async def follow() -> None:
        async with daemon.session.get(f"{daemon.url}/api/v1/stream", headers=daemon.auth()) as response:
            connected.set()
            kind = ""
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind != "CallEvent":
                    data = json.loads(value)
                    seen.append((kind, data["state"] if kind == "RecordEvent" else data["userName"]))
                if len(seen) >= 5:
                    return

    connected = asyncio.Event()
    following = asyncio.create_task(follow())
    await connected.wait()
    await talk(network, "alice", "102")
    async with asyncio.timeout(20):
        await following
    kinds = [one for one in seen if one != ("RecordEvent", "stored")]
    assert kinds == [
        ("RecordEvent", "recording"), ("RecordEvent", "closed"), ("JournalEntry", "alice"), ("JournalEntry", "bob"),
    ]  # fmt: skip


async def test_the_running_call_is_shown_with_what_records_it(daemon: Daemon, network: Network) -> None:
    call = await network.call("alice", "102")
    await call.answered()
    async with asyncio.timeout(20):
        while True:
            _, body = await daemon.get("/api/v1/calls")
            calls = body["items"]
            if calls and any(rule["state"] == "recording" for rule in calls[0]["rules"]):
                break
            await asyncio.sleep(0.05)
    assert {party["identity"] for party in calls[0]["parties"]} == {"alice", "bob"}
    unmatched = [rule for rule in calls[0]["rules"] if rule["state"] == "unmatched"]
    assert all(rule["reason"] for rule in unmatched)
    code, out, _ = await daemon.command("calls")
    assert code == 0
    assert "alice" in out.lower()
    await call.hangup()


async def test_the_audio_is_there_for_those_who_took_part_and_no_others(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "102")
    entry = (await daemon.journal(2))[0]
    path = f"/api/v1/records/{entry['recordId']}/1/1"
    (section,) = await daemon.records(entry["recordId"])
    content = wav(daemon, entry["recordId"], section).read_bytes()
    bob, dave = await daemon.new_token("bob", "user"), await daemon.new_token("dave", "user")
    async with daemon.session.get(daemon.url + path, headers=daemon.auth(bob)) as response:
        assert response.status == 200
        assert response.content_type == "audio/wav"
        assert await response.read() == content
    headers = {**daemon.auth(bob), "Range": "bytes=44-1043"}
    async with daemon.session.get(daemon.url + path, headers=headers) as response:
        assert response.status == 206
        assert await response.read() == content[44:1044]
    status, body = await daemon.get(path, dave)
    assert (status, body["error_id"]) == (404, "not-found")
