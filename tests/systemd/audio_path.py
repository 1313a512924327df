"""What the daemon does with a recording, once through: run by the tests inside the sandbox.

    python -m tests.systemd.audio_path FOLDER

FOLDER has `spool` and `state`. Prints what it saw as JSON; whatever fails, fails the process.
"""

import asyncio
import importlib
import json
import pkgutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession, web

import bridge
from bridge.core.decisions import Wav
from bridge.core.ids import FactNumber
from bridge.core.records import Fact, FactKind
from bridge.core.store import AppendFact
from bridge.storage.database import SqliteStore
from bridge.storage.media import MediaInspector
from bridge.storage.spool import Spool
from tests.simulator.audio import TonesFile

_RELATIVE = "2026/08/01/1-1_1-2_1_001.wav"


async def main(folder: Path) -> None:
    modules = [
        found.name for found in pkgutil.walk_packages(bridge.__path__, "bridge.") if not found.name.endswith("__main__")
    ]
    for name in modules:
        importlib.import_module(name)

    spool = Spool(folder / "spool", "/var/spool/asterisk/recbridge")
    problem = await asyncio.to_thread(spool.problem)
    path = await asyncio.to_thread(spool.prepare_day, _RELATIVE)
    wav = TonesFile(path, 0, {"bob": 700})
    wav.hears(["bob"], 0)
    wav.close(3)

    inspector = MediaInspector()
    report = (await inspector.inspect_section(Wav(_RELATIVE), spool.local_path, 10)).report
    await inspector.close()

    store = await SqliteStore.open(folder / "state" / "recbridge.db", "pbx1")
    await store.commit([AppendFact(Fact(FactKind.CALL_BEGAN, datetime.now(UTC)))])
    facts = await store.facts_after(FactNumber(0), 10)
    await store.close()

    print(  # noqa: T201 - its whole output
        json.dumps(
            {
                "modules": len(modules),
                "problem": problem.message if problem else None,
                "duration_s": report.duration_s,
                "sha256": report.sha256,
                "served": await _serve(path),
                "facts": len(facts),
                "day_mode": oct(path.parent.stat().st_mode & 0o7777),
            }
        )
    )


async def _serve(path: Path) -> int:
    """Bytes that a Range request over real sockets gets of the WAV."""

    async def audio(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    app = web.Application()
    app.router.add_get("/", audio)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address, *_) = runner.addresses
    try:
        async with (
            ClientSession() as client,
            client.get(f"http://127.0.0.1:{address[1]}/", headers={"Range": "bytes=0-99"}) as response,
        ):
            return len(await response.read())
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
