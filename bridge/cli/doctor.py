"""`recbridge doctor`: is everything as it should be?"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import aiohttp

from bridge.cli.calls import refusal, tls_of, url_of
from bridge.cli.options import add_config_option, add_json_option, config_path, why
from bridge.config import Config, load_config
from bridge.core.errors import RecbridgeError
from bridge.core.space import Space, in_words
from bridge.storage.examination import MissingFile, damage, missing_files, unnamed_files
from bridge.storage.orphans import Found
from bridge.storage.spool import Spool

_DEADLINE_S = 10
_SHOWN = 20
_MOST = 10_000

T = TypeVar("T")


@dataclass(slots=True)
class _Check:
    """What one look found; `problems` are one line each."""

    name: str
    what: str
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Findings:
    checks: list[_Check] = field(default_factory=list)
    space: Space | None = None
    unnamed: list[Found] = field(default_factory=list)
    missing: list[MissingFile] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not any(check.problems for check in self.checks)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="look whether everything is as it should be",
        description="Looks at the running daemon, the database, the spool and its disk, and whether sections and files "
        "fit each other: files that no section names, and sections whose file is missing. Changes nothing.",
        epilog="Exit code: 0 all is well, 1 something is not.",
    )
    add_config_option(parser)
    add_json_option(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Look, and say what was found."""
    found = _examine(load_config(config_path(args)))
    if args.json:
        print(json.dumps(_as_json(found), indent=2))
    else:
        print("\n".join(_lines(found)))
    return 0 if found.well else 1


def _examine(config: Config) -> _Findings:
    found = _Findings()
    spool, database = config.spool.local, config.database
    found.checks.append(_daemon(config))
    sound = _Check("database", f"{database} is sound")
    readable = _try(sound, lambda: sound.problems.extend(f"{database}: {line}" for line in damage(database)))
    found.checks.append(sound)
    state = database.with_name("spool.json")
    look = Spool(
        spool,
        str(config.spool.asterisk),
        low_space=config.spool.low_space,
        state=state if state.exists() else None,  # the daemon's to make
    ).look()
    found.space = look.space
    room = f"{in_words(look.space.free_bytes)} of {in_words(look.space.total_bytes)} left" if look.space else "no disk"
    found.checks.append(_Check("spool", room, [one.message for one in (look.problem, look.warning) if one is not None]))
    unnamed, missing = _Check("files", "each is a section's"), _Check("sections", "each that is stored has its file")
    found.checks += [unnamed, missing]
    if not readable or (look.problem is not None and look.problem.code in {"spool-missing", "spool-unmounted"}):
        unnamed.what = missing.what = "not looked at"
        return found
    _try(unnamed, lambda: _take(found.unnamed, unnamed_files(database, spool)))
    _try(missing, lambda: _take(found.missing, missing_files(database, spool)))
    if found.unnamed:
        unnamed.problems.append(f"{_count(found.unnamed)} in the spool that no section names")
    if found.missing:
        missing.problems.append(f"{_count(found.missing)} of stored sections that are not in the spool")
    return found


def _try(check: _Check, look: Callable[[], None]) -> bool:
    try:
        look()
    except (RecbridgeError, PermissionError) as error:
        check.problems.append(why(error))
        return False
    except OSError as error:
        check.problems.append(f"{error.filename}: {error.strerror}")
        return False
    return True


def _take(into: list[T], found: Iterable[T]) -> None:
    into += itertools.islice(found, _MOST)


def _count(found: Sequence[object]) -> str:
    return f"{len(found)}{' or more' if len(found) == _MOST else ''} files"


def _daemon(config: Config) -> _Check:
    check = _Check("daemon", f"answers at {config.http.listen} and is ready")
    try:
        reasons, warnings = asyncio.run(_not_ready(config))
        check.problems += [f"it is not ready: {code}: `recbridge calls` and the log say more" for code in reasons]
        check.problems += [f"it warns: {code}: /ready with an admin's token and the log say more" for code in warnings]
    except aiohttp.ClientConnectorError as error:
        check.problems.append(f"none answers at {config.http.listen}: does it run? ({refusal(error)})")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, RecbridgeError) as error:
        check.problems.append(f"it does not answer at {config.http.listen}: {error or type(error).__name__}")
    return check


async def _not_ready(config: Config) -> tuple[list[str], list[str]]:
    """Why it is not ready, and what it warns of; but for the spool, which is looked at here."""
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{url_of(config)}/ready", ssl=tls_of(config)) as response,
    ):
        body = await response.json()
    warnings = [str(code) for code in body.get("warnings", ())]
    return [str(code) for code in body["reasons"]], [code for code in warnings if not code.startswith("spool-")]


def _as_json(found: _Findings) -> dict[str, Any]:
    now = time.time()
    return {
        "ok": found.well,
        "checks": [
            {
                "check": one.name,
                "ok": not one.problems,
                "what": None if one.problems else one.what,
                "problems": one.problems,
            }
            for one in found.checks
        ],
        "spool": {"freeBytes": found.space.free_bytes, "totalBytes": found.space.total_bytes} if found.space else None,
        "unnamed": [
            {"path": one.path, "sizeBytes": one.size_bytes, "ageSeconds": round(now - one.modified_at)}
            for one in found.unnamed
        ],
        "missing": [
            {"recordId": one.key.record_id, "ruleId": one.key.rule_id, "file": one.key.file, "path": one.path}
            for one in found.missing
        ],
    }


def _lines(found: _Findings) -> list[str]:
    lines = []
    for check in found.checks:
        lines += [f"{check.name}: {problem}" for problem in check.problems] or [f"{check.name}: {check.what}"]
        if check.name == "files":
            lines += _some([f"    {one.path}  {in_words(one.size_bytes)}  {_age(one)} old" for one in found.unnamed])
        elif check.name == "sections":
            lines += _some([f"    {one.path}" for one in found.missing])
    lines.append("all is well" if found.well else "something is not as it should be")
    # Anybody who may write there chose the names of files.
    return ["".join(char if char.isprintable() else "?" for char in line) for line in lines]


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"    … and {len(lines) - _SHOWN} more: see --json"]


def _age(found: Found) -> timedelta:
    return timedelta(seconds=max(0, int(time.time() - found.modified_at)))
