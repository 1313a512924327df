"""What a unit file says, read from the file itself: tests follow the unit."""

import subprocess
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd" / "recbridge.service"


def service(unit: Path) -> dict[str, list[str]]:
    """The assignments of `[Service]`, in order for each key."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def is_on(settings: dict[str, list[str]], key: str) -> bool:
    """Whether a switch is on; the last line counts."""
    return settings.get(key, ["no"])[-1] in ("yes", "true", "on", "1")


def system_calls(lines: list[str]) -> set[str]:
    """The system calls that SystemCallFilter lets pass: the first line allows, `~` takes away, the others add."""
    # systemd begins a list of allowed calls with these.
    allowed = _expand(["@default"])
    for line in lines:
        names = _expand(line.removeprefix("~").split())
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def _expand(names: list[str]) -> set[str]:
    calls: set[str] = set()
    for name in names:
        calls |= _expand(_group(name)) if name.startswith("@") else {name}
    return calls


def _group(name: str) -> list[str]:
    text = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    lines = (line.strip() for line in text.splitlines()[1:])
    return [line for line in lines if line and not line.startswith("#")]
