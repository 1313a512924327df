"""PITEL's live list against the daemon and a real Asterisk, as its clients ask for it."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.demo.daemon import USERS, Daemon
from tests.network.chroot import SUITE
from tests.network.network import Network
from tests.network.registering import register, registrar

ERIN = "  - {identity: erin, name: Erin Bo, extensions: [105], devices: [{channel: PJSIP/erin}]}\n"
CALLER = "+4915112345"


async def listed(daemon: Daemon) -> list[dict[str, Any]]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {daemon.token}"}
    url = f"{daemon.url}/v3/monitor?=null"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        body = await response.json()
        assert (response.status, body["total"]) == (200, len(body["data"]))
        data: list[dict[str, Any]] = body["data"]
        return data


async def until_states(daemon: Daemon, **states: str) -> dict[str, dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            found = {item["username"]: item for item in await listed(daemon)}
            if {name: item["call_state"] for name, item in found.items()} == states:
                return found
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("asterisk_chroot")
async def test_the_live_list_shows_who_rings_and_who_talks_and_on_which_phone(tmp_path: Path) -> None:
    async with Network(suite=SUITE, pbx_extra=registrar("erin", "105")) as network:
        sip, phones = network.ports.pbx_sip, network.ports.phones_sip
        await register(sip, "erin", f"bob@127.0.0.1:{phones}", "Pitel/3.20.5")
        rules = tmp_path / "rules"
        rules.mkdir()
        (rules / "10-test.yml").write_text("rules:\n  - {id: 1, name: All, record: always}\n")
        extra = "systemname: tp.tel4vn.com\ntenant_uuid: 32f0b0ea-8489-4217-acc7-caeaf58b8bbe\n"
        work = tmp_path / "bridge"
        async with Daemon(
            work, network.pbx_ami_port, network.spool, rules=rules, users=USERS + ERIN, extra=extra
        ) as daemon:
            assert await listed(daemon) == []

            await network.behave("bob", "ring")
            call = await network.call("alice", "105")
            found = await until_states(daemon, alice="RINGING", erin="RINGING")
            assert found["erin"]["direction"] == "local"
            assert (found["erin"]["b_cid_num"], found["alice"]["destination"]) == ("101", "105")
            await call.hangup()
            await until_states(daemon)

            await network.behave("bob")
            call = await network.call("alice", "105")
            await call.answered()
            found = await until_states(daemon, alice="ONCALL", erin="ONCALL")
            erin, alice = found["erin"], found["alice"]
            assert (erin["network_ip"], erin["user_agent"]) == ("127.0.0.1", "Pitel/3.20.5")
            assert (alice["network_ip"], alice["user_agent"]) == ("127.0.0.1", "")
            assert (erin["first_name"], erin["extension"], erin["server_host"]) == ("Erin Bo", "105", "127.0.0.1")
            assert erin["domain_name"] == "tp.tel4vn.com"
            assert erin["domain_uuid"] == "32f0b0ea-8489-4217-acc7-caeaf58b8bbe"
            assert erin["call_id"] == alice["call_id"]
            await call.hangup()

            call = await network.inbound(CALLER, did="4930556")
            await call.answered()
            bob = (await until_states(daemon, bob="ONCALL"))["bob"]
            assert (bob["direction"], bob["b_cid_num"], bob["cid_num"]) == ("inbound", CALLER, "4930556")
            await call.hangup()

            call = await network.call("alice", "030123")
            await call.answered()
            alice = (await until_states(daemon, alice="ONCALL"))["alice"]
            assert (alice["direction"], alice["b_cid_num"], alice["destination"]) == ("outbound", "030123", "030123")
            await call.hangup()
