"""A script that speaks as Wazo's calld, confd and auth clients do, to a daemon beside a real Asterisk.

What it sends was noted from the clients themselves: wazo-calld-client (calls.py of 2024), wazo-confd-client (crud.py,
session.py and users.py of 2022 and 2023), wazo-auth-client (token.py of 2022), on wazo-lib-rest-client of 2024.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.demo.daemon import Daemon
from tests.network import tones
from tests.network.keys import KEYS_SECRET, KEYS_USER
from tests.network.network import Network
from tests.whole.test_main_job import wav
from tests.whole.test_on_demand import finished, talking
from tests.whole.test_phone_keys import fact

TENANT = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
RULES = """\
rules:
  - {id: 1, name: Who may record, record: on-demand, when: {online_call_record: true}, channels: stereo}
  - {id: 2, name: Who wants all calls, record: always, when: {user_call_record: true}}
"""
FOUR = [f"call_record_{way}_{where}_enabled" for way in ("incoming", "outgoing") for where in ("internal", "external")]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def refusal(self) -> tuple[int, str]:
        """As the clients' errors read it."""
        body = self.json()
        assert isinstance(body["message"], str)
        assert {"error_id", "details", "timestamp"} <= set(body)
        return self.status, body["error_id"]


@dataclass(frozen=True)
class Script:
    """What http.client sends for requests: `prefix` None is a client that was given our port."""

    url: str
    token: str = ""
    prefix: str = ""

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        more: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json", "Connection": "close", "Wazo-Tenant": TENANT, **(more or {})}
        headers["User-Agent"] = "recording.py"
        if self.token:
            headers["X-Auth-Token"] = self.token
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        elif method == "PUT":
            headers["Content-Length"] = "0"
        query = f"?{urlencode(params)}" if params else ""
        return await asyncio.to_thread(self._ask, method, f"{self.prefix}{path}{query}", payload, headers)

    def _ask(self, method: str, path: str, payload: str | None, headers: dict[str, str]) -> Answer:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    async def got(self, path: str, **params: object) -> Any:
        answer = await self.ask("GET", path, params=params)
        assert answer.status == 200, answer.body
        return answer.json()

    async def put(self, path: str, body: object = None) -> None:
        answer = await self.ask("PUT", path, body)
        assert (answer.status, answer.body) == (204, b"")


@pytest.fixture
async def daemon(keys_network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    network, extra = keys_network, f"tenant_uuid: {TENANT}\n"
    async with Daemon(
        tmp_path / "bridge", network.pbx_ami_port, network.spool, KEYS_USER, KEYS_SECRET, rules=rules, extra=extra
    ) as running:
        yield running


def clients(daemon: Daemon, token: str, prefix: str) -> tuple[Script, Script]:
    """calld's and confd's."""
    if not prefix:
        return Script(daemon.url, token), Script(daemon.url, token)
    return Script(daemon.url, token, f"{prefix}/calld"), Script(daemon.url, token, f"{prefix}/confd")


async def found(confd: Script, name: str) -> dict[str, Any]:
    """Whom a search finds."""
    body = await confd.got("/1.1/users", search=name, recurse=False)
    assert body["total"] == 1
    (item,) = body["items"]
    return dict(item)


async def states(calld: Script) -> dict[str, str]:
    """The record_state of each call."""
    body = await calld.got("/1.0/calls")
    return {item["caller_id_name"]: item["record_state"] for item in body["items"]}


async def until_states(calld: Script, **expected: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if await states(calld) == expected:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_flags_set_by_an_admin_record_a_users_calls(daemon: Daemon, keys_network: Network, prefix: str) -> None:
    calld, confd = clients(daemon, daemon.token, prefix)
    bob = await found(confd, "bob")
    assert (bob["firstname"], bob["extension"], bob["call_record_enabled"]) == ("Bob", "102", False)
    path = f"/1.1/users/{bob['uuid']}"

    await confd.put(path, {"uuid": bob["uuid"], **dict.fromkeys(FOUR, True)})
    assert (await confd.got(path))["call_record_enabled"] is True
    await daemon.stop()
    await daemon.start()
    call = await talking(keys_network, daemon, "alice", "102")
    await until_states(calld, Alice="active", Bob="active")
    await confd.put(path, {"call_record_enabled": False})  # from the next talk on
    assert await states(calld) == {"Alice": "active", "Bob": "active"}
    (section,) = await finished(daemon, call)
    assert (section["ruleId"], section["type"], section["state"]) == (2, "auto", "stored")

    call = await talking(keys_network, daemon, "alice", "102")
    assert await states(calld) == {"Alice": "inactive", "Bob": "inactive"}
    await call.hangup()
    await daemon.journal(4)
    assert [(await confd.got(path))[name] for name in FOUR] == [False] * 4
    nobody = await confd.ask("PUT", "/1.1/users/5ea37d0b-0823-4d2b-a18c-b9082e551b50", {FOUR[0]: True})
    assert nobody.refusal() == (404, "resource-not-found")
    assert (await confd.ask("PUT", path, {FOUR[0]: "on"})).refusal() == (400, "invalid-data")
    assert (await confd.ask("HEAD", path)).status == 200


async def test_a_call_is_started_paused_resumed_and_stopped(daemon: Daemon, keys_network: Network) -> None:
    admin, confd = clients(daemon, daemon.token, "")
    bob = await found(confd, "bob")
    await confd.put(f"/1.1/users/{bob['uuid']}", {"online_call_record_enabled": True})
    alices = Script(daemon.url, await daemon.new_token("alice", "user"))
    bobs = Script(daemon.url, await daemon.new_token("bob", "user"))

    call = await talking(keys_network, daemon, "alice", "102")
    (his_call,) = (await bobs.got("/1.0/users/me/calls"))["items"]
    (her_call,) = (await alices.got("/1.0/users/me/calls"))["items"]
    assert his_call["talking_to"] == {her_call["call_id"]: her_call["user_uuid"]}
    assert (his_call["user_uuid"], his_call["tenant_uuid"]) == (bob["uuid"], TENANT)
    assert (his_call["status"], his_call["is_caller"], his_call["peer_caller_id_number"]) == ("Up", False, "101")
    assert (her_call["is_caller"], her_call["dialed_extension"], her_call["direction"]) == (True, "102", "internal")
    assert his_call["bridges"] == her_call["bridges"]
    assert his_call["conversation_id"] == her_call["call_id"]
    mine = f"/1.0/users/me/calls/{his_call['call_id']}/record"
    assert await admin.got(f"/1.0/calls/{his_call['call_id']}") == his_call

    assert (await bobs.ask("PUT", f"{mine}/pause")).refusal() == (400, "recording-not-started")
    assert (await bobs.ask("PUT", f"{mine}/resume")).refusal() == (400, "recording-not-started")
    await bobs.put(f"{mine}/stop")
    assert await states(admin) == {"Alice": "inactive", "Bob": "inactive"}
    for verb, state in (("start", "active"), ("pause", "paused"), ("resume", "active")):
        for _ in range(2):  # the second time is no error
            await bobs.put(f"{mine}/{verb}")
            assert await states(admin) == {"Alice": state, "Bob": state}
        if verb != "resume":
            await asyncio.sleep(1.2)
    await asyncio.sleep(1.2)

    hers_path = f"/1.0/users/me/calls/{her_call['call_id']}/record"
    assert (await alices.ask("PUT", f"{hers_path}/stop")).refusal() == (403, "recording-unauthorized")
    assert (await alices.ask("PUT", f"{mine}/stop")).refusal() == (404, "no-such-call")
    assert (await alices.ask("PUT", mine.replace("/users/me", "") + "/stop")).refusal() == (401, "unauthorized")
    assert (await admin.ask("PUT", "/1.0/calls/1.1/record/start")).refusal() == (404, "no-such-call")
    await admin.put(f"/1.0/calls/{her_call['call_id']}/record/stop")
    await until_states(admin, Alice="inactive", Bob="inactive")
    await bobs.put(f"{mine}/stop")

    (section,) = await finished(daemon, call)
    assert (section["type"], section["identity"], section["state"]) == ("manual", "bob", "stored")
    windows = tones.heard(wav(daemon, (await daemon.journal(2))[0]["recordId"], section))
    silent = sum(not window for window in windows[2:-2]) * tones.WINDOW_S
    assert silent == pytest.approx(1.2, abs=0.6)
    assert (await bobs.ask("PUT", f"{mine}/start")).refusal() == (404, "no-such-call")


async def test_who_may_not_record_is_refused(daemon: Daemon, keys_network: Network) -> None:
    bobs = Script(daemon.url, await daemon.new_token("bob", "user"))
    call = await talking(keys_network, daemon, "alice", "102")
    (item,) = (await bobs.got("/1.0/users/me/calls"))["items"]
    path = f"/1.0/users/me/calls/{item['call_id']}/record/start"
    assert (await bobs.ask("PUT", path)).refusal() == (403, "recording-unauthorized")
    await call.hangup()


async def test_a_key_that_an_admin_disables_does_nothing(daemon: Daemon, keys_network: Network) -> None:
    _, confd = clients(daemon, daemon.token, "")
    (callrecord,) = (await confd.got("/1.1/extensions/features", feature="callrecord"))["items"]
    (togglerecord,) = (await confd.got("/1.1/extensions/features", search="*3"))["items"]
    assert (callrecord["exten"], callrecord["enabled"]) == ("*26", True)
    alice = await found(confd, "alice")
    path = f"/1.1/users/{alice['uuid']}"
    await confd.put(path, {"online_call_record_enabled": True})
    for feature in (callrecord, togglerecord):
        await confd.put(f"/1.1/extensions/features/{feature['uuid']}", {**feature, "enabled": False})
    await daemon.stop()
    await daemon.start()

    await (await keys_network.call("alice", "*26")).ended()
    (refused,) = await fact(daemon, "control.refused", 1)
    assert (refused["verb"], refused["code"]) == ("call-record-toggle", "key-disabled")
    assert (await confd.got(path))["call_record_enabled"] is False
    call = await talking(keys_network, daemon, "bob", "101")
    await keys_network.press("alice", "*3")
    assert (await fact(daemon, "control.refused", 2))[1]["verb"] == "record-toggle"
    calld, _ = clients(daemon, daemon.token, "")
    assert set((await states(calld)).values()) == {"inactive"}

    await confd.put(f"/1.1/extensions/features/{togglerecord['id']}", {"enabled": True})
    await keys_network.press("alice", "*3")
    await until_states(calld, Alice="active", Bob="active")
    await call.hangup()
    await confd.put(f"/1.1/extensions/features/{callrecord['id']}", {"enabled": True})
    await (await keys_network.call("alice", "*26")).ended()
    await fact(daemon, "user.flags", 2)
    assert (await confd.got(path))["call_record_enabled"] is True


async def test_a_script_comes_with_a_refresh_token_and_leaves_none(daemon: Daemon, keys_network: Network) -> None:  # noqa: ARG001  # the daemon's Asterisk
    def basic(name: str, password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}

    auth = Script(daemon.url, prefix="/api/auth")
    wanted: dict[str, object] = {"access_type": "offline", "client_id": "exporter"}
    answer = await auth.ask("POST", "/0.1/token", wanted, more=basic("admin", daemon.token))
    assert answer.status == 200
    refresh_token = answer.json()["data"]["refresh_token"]
    wrong = await auth.ask("POST", "/0.1/token", wanted, more=basic("alice", daemon.token))
    assert wrong.refusal() == (401, "authentication-failed")

    wanted = {
        "backend": "wazo_user", "expiration": 60, "access_type": "online", "client_id": "exporter",
        "refresh_token": refresh_token,
    }  # fmt: skip
    token = (await Script(daemon.url).ask("POST", "/0.1/token", wanted)).json()["data"]["token"]
    assert (await Script(daemon.url, token).got("/1.0/calls")) == {"items": []}
    path = f"/0.1/token/{token}"
    assert (await auth.ask("HEAD", path, params={"scope": "calld.calls.read", "tenant": TENANT})).status == 204
    assert (await auth.ask("HEAD", path, params={"scope": "auth.users.create"})).status == 403
    assert (await auth.ask("DELETE", path)).status == 200
    assert (await auth.ask("HEAD", path)).status == 404
    assert (await Script(daemon.url, token).ask("GET", "/1.0/calls")).refusal() == (401, "unauthorized")
    log = (daemon.work / "daemon.log").read_text()
    assert "/0.1/token/" in log
    assert token not in log
    assert token.split("_", 2)[2] not in log
    assert refresh_token not in log
