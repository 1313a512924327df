"""What is said of a spool whose disk is in trouble, and how often."""

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from bridge.core.live import NotReady, SpoolLook
from bridge.core.records import Fact, FactKind
from bridge.core.space import LowSpace, Space
from bridge.spool_watch import SpoolWatch
from bridge.storage.spool import Spool
from tests.storage.kept import NOON

FULL = NotReady("spool-full", "make room")
LOW = NotReady("spool-low", "make room")
READ_ONLY = NotReady("spool-read-only", "see dmesg")


@dataclass
class Disk(Spool):
    """A spool that looks as a test says; `hangs` until it is released."""

    next: SpoolLook = field(default_factory=SpoolLook)
    hangs: threading.Event | None = None
    looks: int = 0
    _local: Path = Path("/spool")

    def look(self) -> SpoolLook:
        self.looks += 1
        if self.hangs is not None:
            self.hangs.wait(60)
        return self.next


@dataclass
class Told:
    facts: list[Fact] = field(default_factory=list)

    async def __call__(self, fact: Fact) -> None:
        self.facts.append(fact)

    @property
    def codes(self) -> list[tuple[str, Any]]:
        return [(str(fact.kind), fact.data["code"]) for fact in self.facts]


def watch(disk: Spool, told: Told, *, within_s: float = 60.0, low: int = 100) -> SpoolWatch:
    return SpoolWatch(disk, LowSpace(size_bytes=low), told, lambda: NOON, every_s=0.01, within_s=within_s)


async def test_each_trouble_and_its_end_is_a_fact_and_a_line_once() -> None:
    disk, told = Disk(), Told()
    watching = watch(disk, told)
    with structlog.testing.capture_logs() as lines:
        for look in (None, FULL, NotReady("spool-full", "1 byte less"), READ_ONLY, None, None, FULL, None):
            disk.next = SpoolLook(look)
            assert (await watching.look_now()).problem == look
    trouble, well = str(FactKind.SPOOL_TROUBLE), str(FactKind.SPOOL_WELL)
    assert told.codes == [
        (trouble, "spool-full"), (trouble, "spool-read-only"), (well, "spool-read-only"), (trouble, "spool-full"),
        (well, "spool-full"),
    ]  # fmt: skip
    assert [line["event"] for line in lines] == ["spool", "spool", "spool-well", "spool", "spool-well"]
    assert told.facts[0].audience == ()


async def test_little_room_is_said_at_the_mark_at_half_of_it_and_anew_after_there_was_more() -> None:
    disk, told = Disk(), Told()
    watching = watch(disk, told)
    said = []
    for free in (500, 99, 98, 100, 99, 49, 48, 50, 99, 105, 99, 110, 99, 40):
        disk.next = SpoolLook(None, LOW if free < 100 else None, Space(free, 1000))
        with structlog.testing.capture_logs() as lines:
            await watching.look_now()
        said += [(line["event"], line["free_bytes"]) for line in lines]
    assert said == [("spool-low", free) for free in (99, 49, 99, 40)]
    assert told.facts == []


async def test_where_there_is_too_little_room_to_record_the_warning_says_that() -> None:
    disk, told = Disk(), Told()
    watching = watch(disk, told)
    disk.next = SpoolLook(NotReady("spool-full", "it is full"), None, Space(9, 1000))
    with structlog.testing.capture_logs() as lines:
        await watching.look_now()
    assert [(line["event"], line.get("what")) for line in lines] == [("spool", None), ("spool-low", "it is full")]


async def test_a_disk_that_hangs_is_named_and_holds_one_thread_however_often_it_is_looked_at() -> None:
    disk, told = Disk(hangs=threading.Event()), Told()
    watching = watch(disk, told, within_s=0.05)
    before = set(threading.enumerate())
    for _ in range(5):
        look = await watching.look_now()
        assert look.problem is not None
        assert look.problem.code == "spool-slow"
    assert (disk.looks, len(set(threading.enumerate()) - before)) == (1, 1)
    assert disk.hangs is not None
    disk.hangs.set()
    running = asyncio.create_task(watching.run())
    async with asyncio.timeout(30):
        while watching.look.problem is not None:  # noqa: ASYNC110  # a thread answers
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told.codes == [(str(FactKind.SPOOL_TROUBLE), "spool-slow"), (str(FactKind.SPOOL_WELL), "spool-slow")]
