"""Asterisk's configuration files, as it tells them over AMI or as they lie on this machine."""

import re
from pathlib import Path

from bridge.asterisk.manager import AmiManager
from bridge.core.errors import AsteriskError
from bridge.doctor.manager_user import Categories
from bridge.files import read_text

FOLDER = Path("/etc/asterisk")
_LINE = re.compile(r"Line-(\d+)-\d+")
_SECTION = re.compile(r"\[([^\]]+)\]")


async def asked_for(manager: AmiManager, name: str, category: str, deadline_s: float) -> Categories | str:
    """A file by GetConfig, which needs `config` or `system` in `write`; '' as the category: all. Else why not.

    Templates are resolved in the answer, and what is included is in it (measured on 22.10 and 16.28).
    """
    fields = {"Filename": name} | ({"Category": category} if category else {})
    try:
        answer = await manager.action("GetConfig", fields, deadline_s, must_succeed=False)
    except AsteriskError as error:
        return error.message
    if not answer.success:
        return f"Asterisk says {answer.message}"
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for header, value in answer.raw.pairs():
        line = _LINE.fullmatch(header)
        if header.startswith("Category-"):
            found[header.removeprefix("Category-")] = (value, [])
        elif line is not None and line[1] in found:
            key, _, rest = value.partition("=")
            found[line[1]][1].append((key, rest))
    return list(found.values())


def read_here(name: str, category: str, folder: Path = FOLDER) -> Categories | str:
    """A file of this machine's Asterisk; else why not: includes and templates are not followed."""
    text, problem = read_text(folder / name)
    if problem is not None:
        return f"{problem.file} {problem.message}"
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in (one.partition(";")[0].strip() for one in text.splitlines()):
        section = _SECTION.match(line)
        if line.startswith("#") or (section is not None and line.endswith(")")):
            return f"{folder / name} has includes or templates, which are not followed"
        if section is not None:
            found.append((section[1], []))
        elif "=" in line and found:
            key, _, value = line.partition("=")
            found[-1][1].append((key.strip(), value.removeprefix(">").strip()))
    return [one for one in found if not category or one[0] == category]


def known(asked: Categories | str, name: str, category: str, *, here: bool) -> Categories | str:
    """What Asterisk told, else what lies here, where Asterisk is `here`; else why neither."""
    if not isinstance(asked, str) or not here:
        return asked
    read = read_here(name, category)
    return f"{asked}, and {read}" if isinstance(read, str) else read
