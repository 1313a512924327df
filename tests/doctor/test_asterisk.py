"""The checks of Asterisk, on a real one with real faults."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.doctor import asterisk
from bridge.doctor.findings import Finding, State
from tests.doctor.ground import ground, now, one, states
from tests.network.chroot import SUITE
from tests.network.network import Network

USERS = {
    "manager.conf": """
[no-call]
secret = s3cret
read = system,agent,user,dialplan
write = system,call
[no-user]
secret = s3cret
read = system,call,agent,dialplan
write = system,call
[no-write]
secret = s3cret
read = system,call,agent,user,dialplan
write = call
[nothing]
secret = s3cret
[everything]
secret = s3cret
read = all
write = all
""",
    "features.conf": "automixmon => *3\n[applicationmap]\nrecbridge => *3,self,UserEvent,RecordToggle\n",
}
WELL = dict.fromkeys(asterisk.CODES, State.OK)


@pytest.fixture(scope="module")
def faulty(asterisk_chroot: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(work=tmp_path_factory.mktemp("doctor"), pbx_extra=USERS)
    try:
        network.launch(asterisk_chroot)
        network.wait_ready()
        yield network
    finally:
        network.stop()


async def looked(tmp_path: Path, port: int, *lines: str, **given: Any) -> list[Finding]:
    clock = given.pop("clock", now)
    return list(await asterisk.look(ground(tmp_path, *lines, clock=clock, port=port, **given)))


async def test_of_an_asterisk_as_it_should_be_everything_is_well(network: Network, tmp_path: Path) -> None:
    found = await looked(tmp_path, network.pbx_ami_port)
    old = SUITE == "bullseye"
    assert states(found) == WELL | ({"asterisk-version": State.WARNING} if old else {})
    assert [one.code for one in found] == list(asterisk.CODES)


async def test_a_wrong_secret_is_told_from_an_asterisk_that_is_not_there(network: Network, tmp_path: Path) -> None:
    found = await looked(tmp_path, network.pbx_ami_port, secret="wrong")
    assert (one(found, "asterisk").state, one(found, "asterisk-login").state) == (State.OK, State.FAILED)
    assert "manager.conf" in one(found, "asterisk-login").remedy
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = await looked(tmp_path, free.getsockname()[1])
    assert {code for code, state in states(found).items() if state is State.FAILED} == {"asterisk"}
    assert states(found).keys() == set(asterisk.CODES)


@pytest.mark.parametrize(
    ("user", "state", "missing"),
    [("no-call", State.FAILED, ["call"]), ("no-user", State.WARNING, ["user"]), ("no-write", State.UNKNOWN, None)],
)
async def test_what_the_user_may_not_read_is_named_though_the_daemon_stays_ready(
    faulty: Network, tmp_path: Path, user: str, state: State, missing: list[str] | None
) -> None:
    found = await looked(tmp_path, faulty.pbx_ami_port, username=user, secret="s3cret")
    read = one(found, "asterisk-read")
    assert read.state is state, read
    assert read.values.get("missing") == missing
    assert one(found, "asterisk-write").state is (State.FAILED if user == "no-write" else State.OK)


async def test_a_user_without_rights_gets_each_of_them_said(faulty: Network, tmp_path: Path) -> None:
    found = await looked(tmp_path, faulty.pbx_ami_port, username="nothing", secret="s3cret")
    assert one(found, "asterisk-write").state is State.FAILED
    assert "MixMonitor" in one(found, "asterisk-write").words
    assert one(found, "asterisk-read").state is State.WARNING
    assert "write = system,call" in one(found, "asterisk-write").remedy
    for code in ("asterisk-version", "asterisk-modules", "asterisk-features"):
        assert one(found, code).state is State.UNKNOWN, code


async def test_all_is_enough_to_read_and_for_keys_dtmf_is_missed(faulty: Network, tmp_path: Path) -> None:
    found = await looked(tmp_path, faulty.pbx_ami_port, username="everything", secret="s3cret")
    assert one(found, "asterisk-read").state is State.OK
    found = await looked(tmp_path, faulty.pbx_ami_port, "dtmf: true")
    assert one(found, "asterisk-read").values["missing"] == ["dtmf"]


async def test_an_automixmon_on_our_keys_is_found(faulty: Network, tmp_path: Path) -> None:
    features = one(await looked(tmp_path, faulty.pbx_ami_port), "asterisk-features")
    assert features.state is State.WARNING
    assert "automixmon" in features.values["conflicts"]  # type: ignore[operator]
    assert "module reload features" in features.remedy


async def test_of_our_own_keys_it_is_said_what_atxferthreeway_has_and_where_no_call_has_them(
    keys_network: Network, tmp_path: Path
) -> None:
    features = one(await looked(tmp_path, keys_network.pbx_ami_port), "asterisk-features")
    assert features.values["conflicts"] == ["atxferthreeway"], "it has *3 if nothing is said"
    assert "DYNAMIC_FEATURES" not in features.words
    keys_network.cli("dialplan set global DYNAMIC_FEATURES other")
    try:
        features = one(await looked(tmp_path, keys_network.pbx_ami_port), "asterisk-features")
        assert "the global one is other" in features.words
    finally:
        keys_network.cli("dialplan set global DYNAMIC_FEATURES recbridge")


async def test_a_module_that_is_not_loaded_is_named_with_how_to_load_it(faulty: Network, tmp_path: Path) -> None:
    faulty.cli("module unload app_mixmonitor.so")
    faulty.cli("module unload func_periodic_hook.so")
    try:
        found = await looked(tmp_path, faulty.pbx_ami_port)
        assert one(found, "asterisk-modules").values["missing"] == ["app_mixmonitor"]
        assert "module load app_mixmonitor.so" in one(found, "asterisk-modules").remedy
        assert one(found, "asterisk-write").state is State.FAILED
        (tmp_path / "rules" / "a.yml").write_text("rules: [{id: 1, name: x, record: always, beep: 15s}]\n")
        found = await looked(tmp_path, faulty.pbx_ami_port)
        assert one(found, "asterisk-modules").values["missing"] == ["app_mixmonitor", "func_periodic_hook"]
    finally:
        faulty.cli("module load app_mixmonitor.so")
        faulty.cli("module load func_periodic_hook.so")


@pytest.mark.parametrize(
    ("off", "state"), [(timedelta(seconds=20), State.WARNING), (-timedelta(hours=1), State.FAILED)]
)
async def test_a_clock_that_is_not_asterisks_is_seen(
    network: Network, tmp_path: Path, off: timedelta, state: State
) -> None:
    found = await looked(tmp_path, network.pbx_ami_port, clock=lambda: now() + off)
    clock = one(found, "asterisk-clock")
    assert clock.state is state
    assert clock.values["differenceS"] == pytest.approx(abs(off.total_seconds()), abs=5)


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """Takes connections and says nothing."""
    ended = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        ended.set()


async def test_an_asterisk_that_takes_the_connection_and_says_nothing_is_not_waited_for_long(
    silent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asterisk, "_LOGIN_S", 0.05)
    found = await looked(tmp_path, silent)
    assert one(found, "asterisk").state is State.FAILED
    assert states(found).keys() == set(asterisk.CODES)
