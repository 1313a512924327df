"""How commands print many of one kind for people."""

import unicodedata
from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns with their heads; nothing where there are no rows. What cannot be printed is shown as `?`.

    >>> table(("WHO", "GROUPS"), [("alice", "sales"), ("bob", "")])
    ['WHO    GROUPS', 'alice  sales', 'bob']
    """
    if not rows:
        return []
    cells = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell + " " * (wide - _width(cell)) for cell, wide in zip(row, widths, strict=True)).rstrip()
            for row in cells]  # fmt: skip


def printable(text: str) -> str:
    """Others chose names and paths: nothing of them may steer the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _width(text: str) -> int:
    """On a terminal: Chinese is wide, combining accents take no room."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
