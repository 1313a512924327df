"""The processor's time that processes have used, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def busy_s() -> float:
    """Seconds that the machine's processors have been busy since it was started, all together."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def used_s(pid: int) -> float:
    """Seconds of processor time of a process and its living descendants; ended ones count once they are waited for."""
    children: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        times[int(folder.name)] = sum(map(int, fields[11:15])) / _TICKS
    found, total = [pid], 0.0
    while found:
        one = found.pop()
        total += times.get(one, 0.0)
        found += children.get(one, [])
    return total
