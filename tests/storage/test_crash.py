"""A process that is killed in the middle of its commits."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

from bridge.core.ids import FactNumber
from bridge.storage.database import SqliteStore
from tests.storage import kept

WRITER = """
import asyncio, sys
from pathlib import Path
from bridge.core.store import AppendFact, PutSection
from bridge.storage.database import SqliteStore
from tests.storage import kept

async def write(store, lane):
    n = lane
    while True:
        changes = [AppendFact(kept.fact(batch=n)) for _ in range(3)] + [PutSection(kept.section(n + 1))]
        await store.commit(changes)
        sys.stdout.write(f"{n}\\n")
        sys.stdout.flush()
        n += 4

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), "pbx1")
    await asyncio.gather(*(write(store, lane) for lane in range(4)))

asyncio.run(main())
"""


async def test_a_killed_writer_leaves_whole_batches_and_all_that_it_was_told_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "recbridge.db"
    for _ in range(3):
        told = await _write_and_kill(path)
        store = await SqliteStore.open(path, "pbx1")
        try:
            facts = await store.facts_after(FactNumber(0), 1_000_000)
            sections = {one.file - 1 for one in await store.sections_of(kept.RECORD)}
        finally:
            await store.close()
        assert [one.number for one in facts] == list(range(1, len(facts) + 1))
        batches = Counter(int(one.fact.data["batch"]) for one in facts)
        # Each run begins with batch 0 again.
        assert all(count % 3 == 0 for count in batches.values())
        assert set(batches) == sections
        assert told <= set(batches)


async def _write_and_kill(path: Path) -> set[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    told: set[int] = set()
    try:
        async with asyncio.timeout(60):
            while len(told) < 40:
                told.add(int(await process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGKILL)
        # What it wrote after an answer, down to the last whole line.
        rest = await process.stdout.read()
        await process.wait()
    return told | {int(line) for line in rest.split(b"\n")[:-1]}
