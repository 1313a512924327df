"""How far something is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_S = 10.0


class Showing:
    """One thing after the other, on stderr; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = not quiet and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._what = ""
        self._said = (0.0, -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def show(self, what: str, done: int, whole: int, *, size: bool = False) -> None:
        """So much of `what` is done; `size`: in bytes."""
        if self._quiet:
            return
        if self._terminal:
            self._draw(what, done, whole, size=size)
        else:
            self._say(what, done, whole, size=size)
        self._what = what

    def _draw(self, what: str, done: int, whole: int, *, size: bool) -> None:
        if self._bar is None or what != self._what:
            self._end()
            amount = DownloadColumn() if size else MofNCompleteColumn()
            columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._bar.add_task(what)
        self._bar.update(self._bar.task_ids[0], completed=done, total=whole)

    def _say(self, what: str, done: int, whole: int, *, size: bool) -> None:
        now, tenth = time.monotonic(), 10 * done // whole if whole else 0
        before_at, before = self._said if what == self._what else (0.0, -1)
        if tenth == before or (before >= 0 and now - before_at < _LINE_EVERY_S and done < whole):
            return
        self._said = (now, tenth)
        print(f"{what}: {done} of {whole}{' bytes' if size else ''}", file=sys.stderr, flush=True)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
