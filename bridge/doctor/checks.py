"""All checks, and how they are made: side by side, each with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.core.errors import StoreError
from bridge.doctor import asterisk, configuration, daemon, database, disk, machine, service, spool
from bridge.doctor.findings import AS_ROOT, Finding, Ground, State, unknown
from bridge.doctor.threads import aside
from bridge.storage.figures import Figures, figures

DEADLINE_S = 12.0

CODES: Mapping[str, str] = {
    "configuration": "recbridge.yml can be read and is right",
    "configuration-rights": "nobody else may read the AMI secret",
    "rules": "rules and users are right",
    "daemon": "the daemon answers",
    "daemon-ready": "it can record",
    "daemon-warnings": "what it warns of",
    "certificate": "until when the certificate is good that it shows",
    "asterisk": "Asterisk's manager interface is reached from here",
    "asterisk-login": "the configured user may log in",
    "asterisk-write": "it may do what recording needs",
    "asterisk-read": "it may read every class of events that is needed",
    "asterisk-version": "what is known to go wrong in this version",
    "asterisk-modules": "the modules that are needed are loaded",
    "asterisk-features": "nothing else in features.conf acts on the record key",
    "asterisk-clock": "Asterisk's clock and ours",
    "spool": "it can be written by us",
    "spool-asterisk": "Asterisk sees the same folder and may write there",
    "files": "every file in it is a section's",
    "sections": "every stored section has its file",
    "disk": "how long the room lasts, and when retention frees some",
    "inodes": "room for more files",
    "database": "it is sound, and of this recbridge",
    "database-counts": "what it counts of finished calls is what a recount gives",
    "database-wal": "its write-ahead log does not grow",
    "intents": "no changes wait beside it",
    "backups": "copies from before upgrades, and what was moved aside",
    "sqlite": "the version of SQLite",
    "retention": "what is over its time goes",
    "holds": "legal holds in force",
    "tokens": "tokens that end soon, and admins' that never end",
    "webhooks": "none is disabled or behind",
    "mails": "none waits for long",
    "exports": "the folder of exports",
    "clock": "something synchronises this machine's clock",
    "python": "Python and its libraries are those asked for",
    "service": "the systemd unit is active",
    "service-hardening": "it is hardened as it ships",
    "service-limits": "its files and memory",
}
"""Every code, in the order in which they are told, and what is well. They stay."""

_Look = Callable[[Ground, "_Asked"], Awaitable[Sequence[Finding]]]
_Alone = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class _Check:
    """A look that tells of several codes."""

    codes: tuple[str, ...]
    look: _Look


class _Asked:
    """What several checks need is asked for once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._figures: asyncio.Task[Figures] | None = None

    async def figures(self) -> Figures:
        """Raises StoreError."""
        if self._figures is None:
            config = self._ground.config
            self._figures = asyncio.ensure_future(
                aside(lambda: figures(config.database, self._ground.clock(), config.retention.keeping))
            )
        return await asyncio.shield(self._figures)


def _blocking(look: Callable[[Ground], Sequence[Finding]]) -> _Look:
    async def made(ground: Ground, _: _Asked) -> Sequence[Finding]:
        return await aside(lambda: look(ground))

    return made


def _plain(look: Callable[[Ground], Awaitable[Sequence[Finding]]]) -> _Look:
    async def made(ground: Ground, _: _Asked) -> Sequence[Finding]:
        return await look(ground)

    return made


def _counted(code: str, look: Callable[[Ground, Figures], Finding]) -> _Look:
    async def made(ground: Ground, asked: _Asked) -> Sequence[Finding]:
        try:
            found = await asked.figures()
        except StoreError:
            return [unknown(code, "the database cannot be read: see the check `database`")]
        return [look(ground, found)]

    return made


async def _disk(ground: Ground, asked: _Asked) -> Sequence[Finding]:
    try:
        found = await asked.figures()
    except StoreError:
        found = None
    return await aside(lambda: disk.look(ground, found))


async def _exports(ground: Ground, asked: _Asked) -> Sequence[Finding]:
    try:
        count = (await asked.figures()).exports
    except StoreError:
        count = None
    return await aside(lambda: [machine.exports(ground, count)])


_CHECKS = (
    _Check(("configuration-rights", "rules"), _blocking(configuration.look)),
    _Check(daemon.CODES, _plain(daemon.look)),
    _Check(asterisk.CODES, _plain(asterisk.look)),
    _Check(("spool",), _blocking(spool.look)),
    _Check(("spool-asterisk",), _blocking(spool.both)),
    _Check(("files", "sections"), _blocking(spool.files)),
    _Check(("disk", "inodes"), _disk),
    _Check(("database",), _blocking(database.soundness)),
    _Check(("database-counts",), _blocking(database.bookkeeping)),
    _Check(("database-wal", "backups"), _blocking(database.beside)),
    _Check(("intents",), _blocking(lambda ground: [database.intents(ground)])),
    _Check(("retention",), _counted("retention", lambda _, found: database.retention(found))),
    _Check(("holds",), _counted("holds", lambda _, found: database.holds(found))),
    _Check(("tokens",), _counted("tokens", lambda ground, found: database.tokens(found, ground.clock()))),
    _Check(("webhooks",), _counted("webhooks", lambda ground, found: database.webhooks(found, ground.clock()))),
    _Check(("mails",), _counted("mails", database.mails)),
    _Check(("exports",), _exports),
)


async def _machine() -> Sequence[Finding]:
    return await aside(lambda: [database.sqlite_version(), machine.clock(machine.clock_status()), *machine.python()])


_OF_THE_MACHINE: Sequence[tuple[tuple[str, ...], _Alone]] = (
    (("sqlite", "clock", "python"), _machine),
    (service.CODES, service.look),
)
"""What needs no configuration."""


def _now() -> datetime:
    return datetime.now(UTC)


async def examine(
    path: Path,
    only: Collection[str] = (),
    deadline_s: float = DEADLINE_S,
    clock: Callable[[], datetime] = _now,
) -> Sequence[Finding]:
    """Look at everything, or at these codes alone, in the order of `CODES`. Takes little more than `deadline_s`."""
    wanted = frozenset(only) or frozenset(CODES)
    file, first = await aside(lambda: configuration.look_at_file(path))
    found = [first]
    checks = [check for check in _CHECKS if wanted & set(check.codes)]
    looks = [_made(codes, look(), deadline_s) for codes, look in _OF_THE_MACHINE if wanted & set(codes)]
    if file.config is None:
        why = "without a configuration nobody can say"
        found += [unknown(code, why) for check in checks for code in check.codes]
    else:
        ground = Ground(path, file.config, clock)
        asked = _Asked(ground)
        looks += [_made(check.codes, check.look(ground, asked), deadline_s) for check in checks]
    for several in await asyncio.gather(*looks):
        found += several
    order = {code: place for place, code in enumerate(CODES)}
    return sorted((one for one in found if one.code in wanted), key=lambda one: order[one.code])


async def _made(codes: Sequence[str], look: Awaitable[Sequence[Finding]], deadline_s: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(deadline_s):
            return await look
    except TimeoutError:
        words, remedy = f"it took longer than {deadline_s:g} s", "give it longer: `recbridge doctor --deadline 300`"
        return [unknown(code, words, remedy) for code in codes]
    except PermissionError as error:
        return [unknown(code, f"{error.filename}: {error.strerror}", AS_ROOT) for code in codes]
    except Exception as error:  # one check that is broken must not hide the others
        return [unknown(code, f"the check failed: {type(error).__name__}: {error}") for code in codes]


def worst(found: Sequence[Finding]) -> State:
    """The worst of them; what could not be looked at is better than what is wrong."""
    states = {one.state for one in found}
    return next((s for s in (State.FAILED, State.WARNING, State.UNKNOWN) if s in states), State.OK)
