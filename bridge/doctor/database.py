"""The database: is it sound, of this recbridge, and does what waits in it go on."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.core.errors import StoreError
from bridge.core.space import in_words
from bridge.doctor.findings import AS_ROOT, Finding, Ground, State, failed, milliseconds, ok, unknown, warning
from bridge.lock import is_taken
from bridge.storage.bookkeeping import misfits
from bridge.storage.examination import damage
from bridge.storage.figures import Backlog, Figures
from bridge.storage.intents import any_left

_WAL_BYTES = 256 * 2**20
_OLD = timedelta(days=30)
_SOON = timedelta(days=14)
_LATE = timedelta(hours=1)
_NO_CALLS_BEFORE = (3, 38, 0)
"""`->>` of our statements; STRICT tables are older."""
_WITHDRAWN = ((3, 52, 0),)


def soundness(ground: Ground) -> Sequence[Finding]:
    """Reads all of it."""
    path = ground.config.database
    try:
        lines = damage(path)
    except StoreError as error:
        return [failed("database", error.message, _remedy(error, path))]
    if lines:
        return [failed("database", f"{path} is damaged: {lines[0]} ({len(lines)} findings)", _restore(path))]
    return [ok("database", f"{path} is sound and of this recbridge")]


def bookkeeping(ground: Ground) -> Sequence[Finding]:
    """Counts all calls anew."""
    code = "database-counts"
    try:
        lines = misfits(ground.config.database)
    except StoreError:
        return [unknown(code, "the database cannot be read: see the check `database`")]
    if not lines:
        return [ok(code, "what is counted of finished calls is what a recount gives")]
    remedy = "no recording is affected, only numbers in the views of calls: report this line to who maintains recbridge"
    return [warning(code, "; ".join(lines), remedy)]


def _remedy(error: StoreError, path: Path) -> str:
    match error.details.get("reason"):
        case "missing":
            return "`systemctl start recbridge` makes it; or correct `database:` in the configuration"
        case "older":
            return "`systemctl restart recbridge` brings it up to date"
        case "newer":
            return "install the newer recbridge again; an older one cannot read its database"
        case "foreign":
            return "correct `database:` in the configuration"
        case "corrupt":
            return _restore(path)
        case "locked":
            return f"`fuser -v {path}` names the other program: end it, or let it finish"
        case _:
            return f"run it as root, or see `dmesg` and the rights of {path.parent}"


def _restore(path: Path) -> str:
    return f"`systemctl stop recbridge`, copy {path.parent} away, then restore a backup; recordings in the spool stay"


def sqlite_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Of the library that Python uses. The WAL-reset defect: <https://sqlite.org/wal.html#walresetbug>."""
    code, words = "sqlite", f"SQLite {'.'.join(map(str, version))}"
    upgrade = "upgrade the machine's libsqlite3, then `systemctl restart recbridge`"
    if version < _NO_CALLS_BEFORE:
        return failed(code, f"{words} is too old: 3.38 is the oldest that works", upgrade)
    if version in _WITHDRAWN:
        return warning(code, f"{words} was withdrawn by its makers", upgrade)
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    if not fixed:
        words += (
            ", whose WAL-reset defect (two programs that write in the same instant; very rare) 3.51.3 mends, and some "
            "distributions in their older ones"
        )
    return ok(code, words, walResetFixed=fixed)


def beside(ground: Ground) -> Sequence[Finding]:
    """The files beside it: -wal, what could not be taken in, and backups."""
    path = ground.config.database
    try:
        there = sorted(path.parent.iterdir())
    except OSError as error:
        why = f"{path.parent}: {error.strerror}"
        return [unknown(code, why, AS_ROOT) for code in ("database-wal", "backups")]
    sizes = {one.name: one.lstat() for one in there if one.name.startswith(path.name)}
    wal = sizes[f"{path.name}-wal"].st_size if f"{path.name}-wal" in sizes else 0
    words = f"its -wal has {in_words(wal)}"
    found = [ok("database-wal", words, bytes=wal)]
    if wal > _WAL_BYTES:
        remedy = f"some program reads it for long: `fuser -v {path}` names it; else `systemctl restart recbridge`"
        found = [warning("database-wal", words, remedy, bytes=wal)]
    broken = [name for name in sizes if re.search(r"\.intents\.broken-", name)]
    backups = [name for name in sizes if name.endswith(".bak")]
    size = sum(sizes[name].st_size for name in backups)
    values = {"backups": len(backups), "bytes": size, "broken": len(broken)}
    if broken:
        words = f"{len(broken)} files of changes could not be read and were moved aside: calls may be missing"
        remedy = f"look into {path.parent}/{broken[0]} (JSON lines), and keep it until nobody needs those calls"
        return [*found, warning("backups", words, remedy, **values)]
    old = [name for name in backups if ground.clock().timestamp() - sizes[name].st_mtime > _OLD.total_seconds()]
    words = f"{len(backups)} copies from before upgrades ({in_words(size)})"
    if old:
        remedy = f"they hold whom you have erased since: `rm {path.parent}/{path.name}.*.bak`"
        return [*found, warning("backups", f"{words}, {len(old)} of them older than a month", remedy, **values)]
    return [*found, ok("backups", words if backups else "no copies from before upgrades lie beside it", **values)]


def tokens(figures: Figures, now: datetime) -> Finding:
    """Which end soon, and admins' that never end; by their ids."""
    endless = [one.id for one in figures.tokens if one.role == "admin" and one.expires_at is None]
    soon = [one.id for one in figures.tokens if one.expires_at is not None and now <= one.expires_at < now + _SOON]
    values = {"endless": endless, "soon": soon}
    words = [f"{len(endless)} of role admin never end ({', '.join(endless[:5])})"] if endless else []
    words += [f"{len(soon)} end within two weeks ({', '.join(soon[:5])})"] if soon else []
    if not words:
        return ok("tokens", f"none of {len(figures.tokens)} ends soon, none of an admin is for ever", **values)
    remedy = "`recbridge token create --role admin --expires 90d --identity …`, then `recbridge token revoke ID`"
    return warning("tokens", "; ".join(words), remedy, **values)


def webhooks(figures: Figures, now: datetime) -> Finding:
    """Disabled by recbridge, or behind."""
    code, behind = "webhooks", _behind(figures.deliveries, now)
    values = {"disabled": [one for one, _ in figures.disabled], **_values(figures.deliveries)}
    if figures.disabled:
        first, why = figures.disabled[0]
        words = f"{len(figures.disabled)} of {figures.webhooks} are disabled: {first} ({why})"
        remedy = f'mend its receiver, then `PATCH /api/v1/webhooks/{first}` of {{"enabled": true}}'
        return warning(code, words, remedy, **values)
    if behind or figures.deliveries.in_vain:
        given_up = f"; {figures.deliveries.in_vain} were given up since yesterday" if figures.deliveries.in_vain else ""
        words = f"{figures.deliveries.waiting} deliveries wait, {behind or 'none for long'}{given_up}"
        return warning(code, words, "`GET /api/v1/webhooks/ID/deliveries?state=waiting` says what fails", **values)
    return ok(code, f"{figures.webhooks} webhooks, {figures.deliveries.waiting} deliveries wait", **values)


def mails(ground: Ground, figures: Figures) -> Finding:
    """What waits to be sent."""
    behind = _behind(figures.mails, ground.clock())
    if behind:
        server = ground.config.mail.host if ground.config.mail is not None else "(none is configured: `mail:`)"
        words = f"{figures.mails.waiting} mails wait, {behind}, tried {figures.mails.in_vain} times"
        remedy = f"does the server {server} take mails? `journalctl -u recbridge | grep mail` has its answers"
        return warning("mails", words, remedy, **_values(figures.mails))
    return ok("mails", f"{figures.mails.waiting} mails wait", **_values(figures.mails))


def retention(figures: Figures) -> Finding:
    """Whether what is over its time goes."""
    holds = f"{figures.holds} legal holds keep what they cover" if figures.holds else ""
    if figures.overdue and not figures.holds:
        return warning(
            "retention",
            f"{figures.overdue} recordings are over their time for more than a day",
            "`recbridge erase --expired --dry-run --why look` says what goes; does the daemon run, and warn?",
            overdue=figures.overdue,
        )
    words = (
        f"{figures.overdue} recordings are over their time; {holds}" if figures.overdue else "nothing is over its time"
    )
    return ok("retention", words, overdue=figures.overdue, keepS=figures.keeping.recordings.total_seconds())


def holds(figures: Figures) -> Finding:
    """How many there are: nothing is wrong with them, but they keep disks full."""
    since = "" if figures.held_since is None else f", the oldest since {figures.held_since:%Y-%m-%d}"
    return ok("holds", f"{figures.holds} legal holds in force{since}", count=figures.holds)


def intents(ground: Ground) -> Finding:
    """What waits beside the database for a daemon that does not run."""
    path = ground.config.database
    file = path.with_name(f"{path.name}.intents")
    try:
        waits = any_left(file)
        since = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:
        return ok("intents", "no changes wait beside the database")
    except OSError as error:
        return unknown("intents", f"{file}: {error.strerror}", AS_ROOT)
    if not waits or (is_taken(path) and ground.clock() - since < _LATE):
        return ok("intents", "no changes wait beside the database")
    remedy = "never delete it: the next start takes it in: `systemctl restart recbridge`"
    return Finding("intents", State.WARNING, f"changes since {since:%Y-%m-%d %H:%M} UTC wait in {file}", remedy)


def _behind(backlog: Backlog, now: datetime) -> str:
    if backlog.since is None or now - backlog.since < _LATE:
        return ""
    return f"the oldest for {int((now - backlog.since).total_seconds() // 3600)} hours"


def _values(backlog: Backlog) -> dict[str, int | None]:
    since = None if backlog.since is None else milliseconds(backlog.since)
    return {"waiting": backlog.waiting, "since": since}
