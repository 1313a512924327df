"""The whole daemon under the unit's restrictions: it records a call, and tells systemd what systemd waits for."""

import asyncio
import os
import socket
import sys
from pathlib import Path

from bridge.core.ids import FactNumber
from bridge.core.records import FactKind
from bridge.storage.database import SqliteStore
from tests.demo.daemon import free_port
from tests.network.tones import who
from tests.simulator import calls
from tests.simulator.server import Simulator
from tests.systemd.sandbox import command
from tests.systemd.unit import UNIT

ROOT = UNIT.parents[1]
RULE = "rules:\n  - {id: 1, name: All, record: always}\n"


def configure(folder: Path, port: int) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "all.yml").write_text(RULE)
    (folder / "users.yml").write_text("users: []\n")
    config = folder / "recbridge.yml"
    config.write_text(
        f"asterisk: {{host: 127.0.0.1, port: {port}, username: bridge, secret: bridge-secret}}\n"
        f"spool: {{asterisk: {folder}/spool, local: {folder}/spool}}\n"
        f"rules: {folder}/rules\nusers: {folder}/users.yml\ndatabase: {folder}/state/recbridge.db\n"
        f'http: {{listen: "127.0.0.1:{free_port()}"}}\n'
    )
    return config


async def told(manager: socket.socket, word: str) -> None:
    """Return when systemd's socket was told this."""
    async with asyncio.timeout(60):
        while word not in (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode():
            pass


async def stored(folder: Path) -> None:
    """Return when a section is; AssertionError with the facts there are instead."""
    store = await SqliteStore.open(folder / "state" / "recbridge.db", "pbx1")
    kinds: list[FactKind] = []
    try:
        async with asyncio.timeout(30):
            while FactKind.SECTION_STORED not in kinds:
                await asyncio.sleep(0.05)
                kinds = [one.fact.kind for one in await store.facts_after(FactNumber(0), 1000)]
    except TimeoutError:
        raise AssertionError(kinds) from None
    finally:
        await store.close()


async def test_it_records_a_call_and_speaks_to_systemd(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.bind(str(folder / "notify"))
        async with Simulator(folder / "spool") as simulator:
            words = command(
                folder, UNIT, "seccomp", "bridge", "run", "--config", str(configure(folder, simulator.port))
            )
            environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000"}
            log = folder / "log"
            with log.open("wb") as output:
                daemon = await asyncio.create_subprocess_exec(*words, env=environ, stderr=output, cwd=ROOT)
            try:
                await told(manager, "EXTEND_TIMEOUT_USEC=120000000")
                await told(manager, "READY=1")
                await told(manager, "STATUS=ready")
                await calls.inside(simulator, 1.0)
                await told(manager, "WATCHDOG=1")
                await stored(folder)
                (wav,) = (folder / "spool").rglob("*.wav")
                assert who(wav) == {"alice", "bob"}
                daemon.terminate()
                await told(manager, "STOPPING=1")
                async with asyncio.timeout(30):
                    assert await daemon.wait() == 0
            finally:
                if daemon.returncode is None:
                    daemon.kill()
                    await daemon.wait()
                sys.stderr.write(log.read_text())
