"""What the daemon does with an export, once through: run by the tests inside the sandbox.

    python -m tests.systemd.export_path FOLDER SMTP-PORT

FOLDER has `spool` and `state`. It ends once an export is made and its mail is sent; whatever fails, fails the process.
"""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.config import MailConfig
from bridge.core.access import Reader, Role
from bridge.core.cdrs import CdrNumber
from bridge.core.exports import Export, ExportStatus
from bridge.core.ids import Identity
from bridge.core.records import AudioReport
from bridge.core.settings import Settings
from bridge.core.space import LowSpace
from bridge.core.store import PutSection
from bridge.exporting import Exporter, Terms
from bridge.mail import Mailer
from bridge.storage import mails
from bridge.storage.database import SqliteStore
from bridge.storage.spool import Spool
from tests.storage import kept


def _now() -> datetime:
    return datetime.now(UTC)


async def main(folder: Path, port: int) -> None:
    database = folder / "state" / "recbridge.db"
    store = await SqliteStore.open(database, "pbx1")
    section = replace(kept.section(), report=AudioReport(1.0, 1000, 8000, 1, (0.5,), (0.1,), b"", "0" * 64))
    wav = folder / "spool" / section.path
    wav.parent.mkdir(parents=True)
    wav.write_bytes(bytes(1000))
    await store.commit([PutSection(section)])

    config = MailConfig(host="localhost", sender="recbridge@example.org").model_copy(update={"port": port})
    mailer = Mailer(store, config, "pbx1", _now)
    exporter = Exporter(
        store, database, Spool(folder / "spool", "/spool"),
        Terms("pbx1", timedelta(days=2), LowSpace(), "https://pbx.example.org"),
        mailer=mailer, settings=Settings, clock=_now,
    )  # fmt: skip
    tasks = [asyncio.create_task(exporter.run()), asyncio.create_task(mailer.run())]
    try:
        async with asyncio.timeout(60):
            asked = await exporter.ask(
                [(CdrNumber(7), section.key)],
                Reader(Identity("eve"), Role.ADMIN, frozenset()),
                "eve@example.org",
                "/exports?id={}",
            )
            export: Export | None = asked
            while export is None or export.status is not ExportStatus.FINISHED or (await mails.waiting(store))[0]:
                await asyncio.sleep(0.05)
                export = await store.export(asked.id)
        assert export.missing == 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
