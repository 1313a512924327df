"""A connection that reads: one question at a time, never longer than its caller waits."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiosqlite

from bridge.core.errors import StoreError
from bridge.storage.sqlite_errors import store_error

_WAITING = 256

_Found = TypeVar("_Found")


class Reader:
    """Asks over one connection. Refuses at once where 256 questions wait; every error is a StoreError."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, wait_s: float) -> None:
        self.connection = connection
        self._path = path
        self._wait_s = wait_s
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def ask(self, question: Callable[[sqlite3.Connection], _Found]) -> _Found:
        """What `question` gives; it runs in the connection's thread. OverflowError and UnicodeEncodeError are its own:
        no row holds such a value.
        """
        if self._waiting >= _WAITING:
            raise StoreError(f"database {self._path}: {_WAITING} reads wait already", reason="overloaded")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s), self._lock:
                return await self._ask_alone(question)
        except TimeoutError as error:
            raise StoreError(
                f"database {self._path}: a read took more than {self._wait_s:g} s: check its disk's load",
                reason="timeout",
            ) from error
        except sqlite3.Error as error:
            raise store_error(error, self._path) from error
        finally:
            self._waiting -= 1

    async def _ask_alone(self, question: Callable[[sqlite3.Connection], _Found]) -> _Found:
        try:
            # One hop to aiosqlite's thread, however many statements it takes.
            found: _Found = await self.connection._execute(question, self.connection._conn)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except asyncio.CancelledError:
            # Its thread is ours alone while we hold the lock: nobody else's read is broken off.
            await self.connection.interrupt()
            raise
        return found
