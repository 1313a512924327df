"""On a real Asterisk: what is over its time goes by itself, what a rule keeps stays, and more than half asks first."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.demo.daemon import Daemon
from tests.network.network import Network
from tests.whole.test_main_job import TALK_S, talk

RULES = """\
rules:
  - {id: 1, name: Inside, record: always, when: {direction: internal}}
  - {id: 2, name: From outside, record: always, when: {direction: inbound}, keep: 1h}
"""
CALLER = "+4915112345"


@pytest.fixture
async def daemon(network: Network, tmp_path: Path) -> AsyncIterator[Daemon]:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES)
    work = tmp_path / "bridge"
    extra = "retention: {keep: 3s}\n"
    async with Daemon(work, network.pbx_ami_port, network.spool, rules=rules, extra=extra) as running:
        yield running


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await met():
                return
            await asyncio.sleep(0.1)


async def until_warned(daemon: Daemon, *warnings: str) -> None:
    async def warned() -> bool:
        status, body = await daemon.get("/ready")
        return (status, tuple(body.get("warnings", ()))) == (200, warnings)

    await until(warned)


async def test_recordings_go_when_their_time_is_over(daemon: Daemon, network: Network) -> None:
    await talk(network, "alice", "102")
    inside = (await daemon.journal(2))[0]["recordId"]
    await until_warned(daemon, "retention-refused")
    (section,) = await daemon.records(inside)
    assert (section["deleted"], len(section["audioFiles"])) == (False, 1)

    call = await network.inbound(CALLER)
    await call.answered()
    # Longer than the other, which is then less than half.
    await asyncio.sleep(2 * TALK_S)
    await call.hangup()
    outside = (await daemon.journal(3))[0]["recordId"]
    await until_warned(daemon)

    async def deleted() -> bool:
        return bool((await daemon.records(inside))[0]["deleted"])

    async def gone() -> bool:
        return not list(network.spool.rglob(f"{inside}_*"))

    await until(deleted)
    status, body = await daemon.get(f"/api/v1/records/{inside}/1/1")
    assert (status, body["error_id"]) == (410, "recording-deleted")
    (kept,) = await daemon.records(outside)
    assert (kept["state"], kept["deleted"]) == ("stored", False)

    code, out, err = await daemon.command("erase", "--number", CALLER, "--why", "asked for it", "--yes", "--force")
    assert code == 0, err
    assert "1 sections stay, the last until" in out
    assert "erased from 0 calls; 1 wait" in out
    names = [path.name for path in network.spool.rglob(f"{outside}_*.wav")]
    assert names == [f"{outside}_2_001.wav"]
    await until(gone)


RULES_WITHOUT_KEEP = "rules:\n  - {id: 1, name: All, record: always}\n"


async def test_what_an_admin_sets_over_http_counts_and_what_a_client_deletes_is_gone(
    network: Network, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "10-test.yml").write_text(RULES_WITHOUT_KEEP)
    async with Daemon(tmp_path / "bridge", network.pbx_ami_port, network.spool, rules=rules) as daemon:

        async def to_go() -> tuple[int, int]:
            code, out, err = await daemon.command("erase", "--expired", "--why", "look", "--dry-run", "--json")
            assert code == 0, err
            told = json.loads(out)
            return told["sections"], told["finishedCalls"]

        async def set_days(**days: int) -> None:
            async with daemon.session.put(f"{daemon.url}/1.0/retention", json=days, headers=daemon.auth()) as response:
                assert response.status == 204, await response.text()

        await talk(network, "alice", "102")
        first = (await daemon.journal(2))[0]["recordId"]
        await talk(network, "alice", "103")
        second = (await daemon.journal(4))[0]["recordId"]
        assert first != second
        await until(lambda: stored(daemon, first, second))
        assert await to_go() == (0, 0)
        await set_days(recording_days=0)
        assert await to_go() == (2, 0)
        await set_days(recording_days=1)
        assert await to_go() == (0, 0)

        code, out, err = await daemon.command("hold", "add", "--record", second, "--why", "case 17", "--json")
        assert code == 0, err
        status, cdrs = await daemon.get("/1.0/cdr?recorded=true")
        assert (status, cdrs["total"]) == (200, 2)
        answers = {}
        for cdr in cdrs["items"]:
            url = f"{daemon.url}/1.0/cdr/{cdr['id']}/recordings/{cdr['recordings'][0]['uuid']}/media"
            async with (
                daemon.session.delete(url, headers=daemon.auth()) as deleted,
                daemon.session.get(url, headers=daemon.auth()) as media,
            ):
                answers[deleted.status] = media.status
        assert answers.pop(204) == 400
        ((refused, still),) = answers.items()
        assert (refused in (403, 409), still) == (True, 200)
        assert not list(network.spool.rglob(f"{first}_*"))
        assert list(network.spool.rglob(f"{second}_*"))

        await set_days(recording_days=0, cdr_days=0)
        assert await to_go() == (0, 1)
        code, out, err = await daemon.command("erase", "--expired", "--why", "over", "--yes")
        assert code == 0, err
        assert "deleted: 1 finished calls, with their journal" in out
        entries = await daemon.journal(2)
        assert {one["recordId"] for one in entries} == {second}
        code, out, err = await daemon.command("verify")
        assert code == 0, (out, err)


async def stored(daemon: Daemon, *record_ids: str) -> bool:
    sections = [one for name in record_ids for one in await daemon.records(name)]
    return all(one["state"] == "stored" for one in sections)
