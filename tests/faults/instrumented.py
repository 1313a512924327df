"""The daemon with a hook at each of its steps: `python -m tests.faults.instrumented run --config FILE`.

A step is whatever has an effect outside or is a boundary: a commit (before it, in front of its COMMIT, after it), an
AMI action (before it is sent, sent, answered), an act (before, after), a change of a file in the spool, a published
fact. Each has a name and a number, counted by name: `MixMonitor sent #1`, `commit section.recording: before #2`.

By the environment: every step goes, with its time, as a line into the file `STEPS`; at the one named `KILL_AT`, or at
the `KILL_AFTER`-th of all, the process kills itself with SIGKILL. SIGUSR1 sets the daemon's clock `CLOCK_S` seconds on.
"""

import itertools
import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bridge.daemon
import bridge.storage.database as store
from bridge.asterisk.connection import AmiConnection
from bridge.asterisk.manager import AmiManager, AmiProtocol
from bridge.cli.main import main
from bridge.core.decisions import Act, Report
from bridge.core.records import NumberedFact
from bridge.core.store import AppendFact, Change, PutSection
from bridge.feed.stream import Hub
from bridge.hands import Hands
from bridge.storage.batch import Batch

_CHANGES_A_FILE = {"os.rename", "os.remove", "os.mkdir", "os.chmod", "os.link", "os.truncate", "os.symlink"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _Steps:
    def __init__(self) -> None:
        self._kill_at = os.environ.get("KILL_AT", "")
        self._kill_after = int(os.environ.get("KILL_AFTER", "0"))
        self._file = os.open(os.environ["STEPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._seen: Counter[str] = Counter()
        self._count = itertools.count(1)
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        """Note a step, from whatever thread, and die there if this is the one."""
        with self._lock:
            self._seen[name] += 1
            label = f"{name} #{self._seen[name]}"
            os.write(self._file, f"{time.time():.6f} {label}\n".encode())
            if label == self._kill_at or next(self._count) == self._kill_after:
                os.kill(os.getpid(), signal.SIGKILL)


def _about(changes: Sequence[Change]) -> str:
    """What a commit is for: the first state of a section in it, else its first fact."""
    states = [f"section.{change.section.state}" for change in changes if isinstance(change, PutSection)]
    facts = [str(change.fact.kind) for change in changes if isinstance(change, AppendFact)]
    return next(iter([*states, *facts, *(type(change).__name__ for change in changes)]), "nothing")


def _hook_store(step: _Steps) -> None:
    commit, transact = store.SqliteStore.commit, store._transact

    async def hooked_commit(
        self: store.SqliteStore, changes: Sequence[Change], *more: Any, **named: Any
    ) -> Sequence[NumberedFact]:
        step(f"commit {_about(changes)}: before")
        facts = await commit(self, changes, *more, **named)
        step(f"commit {_about(changes)}: after")
        return facts

    def hooked_transact(connection: sqlite3.Connection, batches: Sequence[Batch]) -> None:
        first = next((str(each.fact.kind) for batch in batches for each in batch.facts), "no fact")

        def trace(statement: str) -> None:
            if statement == "COMMIT":
                step(f"COMMIT {first}: at it")

        connection.set_trace_callback(trace)
        try:
            transact(connection, batches)
        finally:
            connection.set_trace_callback(None)
        step(f"COMMIT {first}: done")

    store.SqliteStore.commit = hooked_commit  # type: ignore[method-assign]
    store._transact = hooked_transact


def _hook_asterisk(step: _Steps) -> None:
    send, send_action = AmiProtocol.send, AmiManager.send_action

    def hooked_send(self: AmiProtocol, data: Any, as_list: bool = False) -> Any:
        step(f"{data['Action']} before it is sent")
        future = send(self, data, as_list)
        step(f"{data['Action']} sent")
        return future

    async def hooked_action(self: AmiManager, action: Any, as_list: bool = False, *, deadline_s: float) -> Any:
        messages = await send_action(self, action, as_list, deadline_s=deadline_s)
        step(f"{action['Action']} answered")
        return messages

    AmiProtocol.send = hooked_send  # type: ignore[method-assign]
    AmiManager.send_action = hooked_action  # type: ignore[method-assign]


def _hook_acts_and_feed(step: _Steps) -> None:
    perform, publish = Hands.perform, Hub.publish

    async def hooked_perform(self: Hands, act: Act) -> Report:
        step(f"{type(act).__name__} begins")
        report = await perform(self, act)
        step(f"{type(act).__name__} done: {type(report).__name__}")
        return report

    def hooked_publish(self: Hub, facts: Sequence[NumberedFact]) -> None:
        kind = str(facts[0].fact.kind) if facts else "nothing"
        step(f"publish {kind}: before")
        publish(self, facts)
        step(f"publish {kind}: after")

    Hands.perform = hooked_perform  # type: ignore[method-assign]
    Hub.publish = hooked_publish  # type: ignore[method-assign]


def _hook_files(step: _Steps) -> None:
    fsync = os.fsync

    def hooked_fsync(file: Any) -> None:
        step("fsync: before")
        fsync(file)
        step("fsync: after")

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES_A_FILE or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES):
            path = Path(os.fsdecode(arguments[0])) if isinstance(arguments[0], str | bytes | os.PathLike) else None
            # The spool's files alone, and not the unnamed one that tells whether there can be any.
            if path is not None and ".wav" in path.name:
                step(f"{event} *{path.name[path.name.index('.wav', 1) :]}")

    os.fsync = hooked_fsync  # type: ignore[assignment]
    sys.addaudithook(audit)


def _hook_clock() -> None:
    ahead = timedelta()

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    def turn(*_: object) -> None:
        nonlocal ahead
        ahead = timedelta(seconds=float(os.environ.get("CLOCK_S", "0")))

    signal.signal(signal.SIGUSR1, turn)
    bridge.daemon.utc_now = now
    defaults = AmiConnection.__init__.__kwdefaults__
    assert defaults is not None
    defaults["clock"] = now


if __name__ == "__main__":
    noted = _Steps()
    _hook_store(noted)
    _hook_asterisk(noted)
    _hook_acts_and_feed(noted)
    _hook_files(noted)
    _hook_clock()
    sys.exit(main())
