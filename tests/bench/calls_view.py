"""Benchmark `calls_view`: what the console's Calls view asks, over 10,000 and over 1,000,000 finished calls.

Two histories: the same number of calls a day over a longer time, and more calls in the same time. A round asks all of
every database once, in an order that is shuffled anew, over HTTP, of the application as the daemon has it. What else
this machine does makes times longer: beside them stands what this process, which asks and answers, took of the
processor.
"""

import asyncio
import os
import random
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from aiohttp.test_utils import TestClient, TestServer

from bridge.api.app import Dependencies, create_app
from bridge.api.cdr_queries import cursor_of
from bridge.core.access import Role
from bridge.core.cdr_lists import CdrPlace
from bridge.core.cdrs import CdrNumber
from bridge.core.ids import Identity
from bridge.storage.database import SqliteStore
from bridge.tokens import new_token
from tests.bench.call_history import NOW, RARE_NUMBER, History, make
from tests.bench.report import Result

FEW, MANY = 10_000, 1_000_000
_MONTH = timedelta(days=30)
HISTORIES: Mapping[str, tuple[History, History]] = {
    "same rate, longer time": (History(FEW, timedelta(days=10)), History(MANY, timedelta(days=1000))),
    "same time, more calls": (History(FEW, _MONTH), History(MANY, _MONTH)),
}
TARGET = 3.0
_FOLDER = "RECBRIDGE_BENCH_CALLS"
"""A folder where the databases are kept for the next time."""

_SINCE = {"from": (NOW - _MONTH).isoformat()}
_SEARCHES: Mapping[str, Mapping[str, str]] = {
    "default: the last 30 days": _SINCE,
    "no bound": {},
    "queue": {"queue": "queue3"},
    "user": {"user": "user07"},
    "user, last 30 days": {"user": "user07", **_SINCE},
    "direction": {"direction": "outbound"},
    "status, a rare one": {"status": "voicemail"},
    "recorded": {"recorded": "true"},
    "not recorded": {"recorded": "false"},
    "tag": {"tag": "sales"},
    "tag, a rare one": {"tag": "complaint"},
    "number, a common one": {"number": "800"},
    "number, a rare one": {"number": RARE_NUMBER},
    "number, its end": {"number": "*4567"},
    "name, a common one": {"name": "maier"},
    "name, a rare one": {"name": "zacharias"},
    "talked 30 min or more": {"minS": "1800"},
    "talked 1 to 2 min": {"minS": "60", "maxS": "120"},
    "search, a common text": {"search": "maier"},
    "search, a rare text": {"search": "zacharias"},
    "search, last 30 days": {"search": "maier", **_SINCE},
    "user and search": {"user": "user07", "search": "maier"},
    "longest talks first": {"order": "-talked"},
}
_DEEP = "deep page"

_Took = defaultdict[tuple[str, int, str], list[tuple[float, float]]]
"""By history, number of calls and request: milliseconds, and those of the processor."""


async def run(rounds: int) -> Result:
    """All requests, in so many rounds."""
    async with AsyncExitStack() as stack:
        folder = Path(os.environ.get(_FOLDER) or stack.enter_context(TemporaryDirectory(dir="/var/tmp")))
        notes: list[str] = []
        sides = {}
        for name, histories in HISTORIES.items():
            for history in histories:
                path = folder / f"{history.calls}-{history.over.days}.db"
                if not path.exists():
                    upgrade_s = await asyncio.to_thread(make, path, history)
                    notes.append(f"{name}, {history.calls:,} calls: upgrade from the schema before: {upgrade_s:.1f} s.")
                sides[name, history.calls] = await _side(stack, path)
        took = await _rounds(sides, rounds)
    words = (
        "Milliseconds from the request to the end of the answer: the list's first page of 50, facets, and the month's "
        f"days, one after the other (the deep page: the list alone); medians of {rounds} shuffled rounds."
    )
    title = f"the Calls view answers over {MANY:,} calls within {TARGET:g} times the time of {FEW:,}"
    return Result("calls_view", title, f"SQLite {sqlite3.sqlite_version}", _rows(took), [words, *notes])


async def _side(stack: AsyncExitStack, path: Path) -> tuple[TestClient[Any, Any], dict[str, str], str]:
    store = await SqliteStore.open(path, "pbx", check_s=0.01)
    stack.push_async_callback(store.close)
    token, plain = new_token(Identity("bench"), Role.ADMIN, [], NOW, None)
    await store.add_token(token)
    nothing = cast("Any", _Hub())
    deps = Dependencies(
        store=store, audio_root=path.parent, live=nothing, control=nothing, supervised=lambda _: frozenset(),
        not_ready=tuple, hub=nothing, clock=lambda: NOW,
    )  # fmt: skip
    client = await stack.enter_async_context(TestClient(TestServer(create_app(deps))))
    return client, {"Authorization": f"Bearer {plain}"}, await asyncio.to_thread(_deep, path)


class _Hub:
    """No live facts."""

    def close(self) -> None:
        """Nothing to end."""


def _deep(path: Path) -> str:
    """The cursor of the middle of all calls."""
    database = sqlite3.connect(path)
    try:
        ((number, at),) = database.execute(
            "SELECT id, started_at FROM cdrs WHERE id = (SELECT max(id) / 2 FROM cdrs)"
        ).fetchall()
    finally:
        database.close()
    return cursor_of(CdrPlace(at, CdrNumber(number)), "-start")


async def _rounds(sides: Mapping[tuple[str, int], Any], rounds: int) -> _Took:
    took: _Took = defaultdict(list)
    chance = random.Random(7)
    work = [(side, name) for side in sides for name in (*_SEARCHES, _DEEP)]
    for number in range(rounds + 1):
        chance.shuffle(work)
        for side, name in work:
            client, headers, deep = sides[side]
            began, used = time.perf_counter(), time.process_time()
            if name == _DEEP:
                await _get(client, headers, "", {"cursor": deep})
            else:
                await _view(client, headers, _SEARCHES[name])
            if number:  # the first one is for the caches
                one = ((time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000)
                took[*side, name].append(one)
    return took


async def _view(client: TestClient[Any, Any], headers: dict[str, str], query: Mapping[str, str]) -> None:
    """As bridge/web/views/calls.js asks: the calendar shows one month."""
    found = {name: value for name, value in query.items() if name != "order"}
    month = {"zone": "Europe/Berlin", **found, **_SINCE, "until": NOW.isoformat()}
    await _get(client, headers, "", query)
    await _get(client, headers, "/facets", found)
    await _get(client, headers, "/days", month)


async def _get(client: TestClient[Any, Any], headers: dict[str, str], path: str, query: Mapping[str, str]) -> None:
    async with client.get(f"/api/v1/cdrs{path}", params=query, headers=headers) as response:
        body = await response.read()
        if response.status != 200:
            raise RuntimeError(body.decode())


def _rows(took: _Took) -> list[list[str]]:
    heads = (f"{FEW:,}", f"{MANY:,}", "ratio", "ratio of processor time")
    rows = [["", *(f"{name}: {words}" for name in HISTORIES for words in heads)]]
    for what in (*_SEARCHES, _DEEP):
        row = [what]
        for name in HISTORIES:
            few, many = ([_median(took[name, calls, what], at) for at in (0, 1)] for calls in (FEW, MANY))
            row += [f"{few[0]:.1f} ms", f"{many[0]:.1f} ms", *map(_ratio, few, many)]
        rows.append(row)
    return rows


def _median(measured: Sequence[tuple[float, float]], at: int) -> float:
    return statistics.median(one[at] for one in measured)


def _ratio(few: float, many: float) -> str:
    return f"{many / few:.2f}{'' if many / few <= TARGET else ' (above 3)'}"
