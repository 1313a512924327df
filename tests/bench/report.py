"""RESULTS.md: one section a benchmark, each with the machine, the day and the versions it was measured with."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """\
# What the benchmarks measured

Written by `make bench`; every figure stands beside a named peer's from the same run. Figures of different machines or
days say nothing about each other, the ratios do.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one benchmark. `name` is its module's, `rows` begin with the headings, `notes` are sentences."""

    name: str
    title: str
    asterisk: str
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def machine() -> str:
    """This machine in a line: processors, memory, kernel, Python."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    words = f"{os.cpu_count()} processors {model[1] if model else platform.machine()}, {memory:.0f} GiB"
    return f"{words}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def section(result: Result, at: datetime) -> str:
    """A result as a section of RESULTS.md."""
    head, *rows = result.rows
    lines = [
        f"## {result.name}: {result.title}",
        "",
        f"{at:%Y-%m-%d}; {machine()}; {result.asterisk}; load average at the end {os.getloadavg()[0]:.1f}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"- {note}" for note in result.notes),
    ]
    return "\n".join(lines) + "\n"


def merged(text: str, name: str, new: str) -> str:
    """The whole file with that benchmark's section replaced, or put where its name comes by the alphabet."""
    sections = {part.partition(":")[0]: part.strip() for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}
    sections[name] = new.strip().removeprefix("## ")
    return "\n".join([_HEAD, *(f"## {sections[one]}\n" for one in sorted(sections))])


def write(result: Result, path: Path = RESULTS) -> str:
    """Put the result into the file; gives its section."""
    new = section(result, datetime.now(UTC))
    path.write_text(merged(path.read_text() if path.exists() else "", result.name, new))
    return new
