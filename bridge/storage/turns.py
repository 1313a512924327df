"""Turns among processes: one retention run at a time, and no hold in the middle of a batch of deletions."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

from bridge.core.errors import StoreError

_POLL_S = 0.05
BATCH_WAIT_S = 60.0
"""A batch is done in well under a second, but the machine may be slow."""


@contextlib.asynccontextmanager
async def run_turn(database: Path, wait_s: float = 0.0) -> AsyncIterator[None]:
    """Be the only one who deletes or erases. Raises StoreError (`busy`) where another is after `wait_s`."""
    async with _turn(Path(f"{database}.retention.lock"), wait_s):
        yield


@contextlib.asynccontextmanager
async def batch_turn(database: Path, wait_s: float = BATCH_WAIT_S) -> AsyncIterator[None]:
    """Be between two batches: holds that are kept before are asked by all that is deleted after. Raises StoreError."""
    async with _turn(Path(f"{database}.holds.lock"), wait_s):
        yield


@contextlib.asynccontextmanager
async def recall_turn(database: Path) -> AsyncIterator[None]:
    """Be the only one who ends exports for what they hold, so that each is told of once. Raises StoreError."""
    async with _turn(Path(f"{database}.exports.lock"), BATCH_WAIT_S):
        yield


@contextlib.asynccontextmanager
async def _turn(path: Path, wait_s: float) -> AsyncIterator[None]:
    """The kernel takes the lock back however the process ends. The file belongs to the owner of its folder."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror}: let it belong to recbridge's user", reason="cannot-open"
        ) from error
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise StoreError(
                        f"{path}: something is being deleted just now: try again (`fuser {path}` names who does it)",
                        reason="busy",
                    ) from None
            await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)
