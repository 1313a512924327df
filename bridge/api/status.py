"""How the daemon does at this moment, in one answer, for the console's Health and for admins' scripts."""

from collections import Counter
from collections.abc import Sequence

from aiohttp import web
from typing_extensions import TypedDict

from bridge import __version__
from bridge.api.answers import json_response
from bridge.api.auth import Access
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.health import Reason
from bridge.api.metrics import METRICS
from bridge.api.numbers import Numbers
from bridge.api.operations import Operation
from bridge.api.validation import Nothing, query_of
from bridge.core.live import NotReady
from bridge.core.views import epoch_ms


class AsteriskStatus(TypedDict):
    """The connection to Asterisk: `state` is connected, connecting, unreachable, login-refused, rights-missing, closed.

    `version` is Asterisk's, '' before the first connection; `lagS` by how much the newest event was older than our time
    when it was handled.
    """

    state: str
    version: str
    lagS: float


class QueueStatus(TypedDict):
    """What waits in a queue, and how much may: `bound` 0 is no bound."""

    name: str
    waiting: int
    bound: int


class SpoolStatus(TypedDict):
    """The room on the spool's disk; below `lowBytes` an admin is warned."""

    freeBytes: int
    totalBytes: int
    lowBytes: int | None


class DatabaseStatus(TypedDict):
    """Commits since the start and how many failed, changes that are lost, bytes that wait in the intents file."""

    commits: int
    failures: int
    lost: int
    intentsBytes: int


class CallbackStatus(TypedDict):
    """Callbacks by state, deliveries that wait, attempts since the start, facts that the slowest has before it."""

    enabled: int
    disabled: int
    waiting: int
    behind: int
    delivered: int
    failed: int
    givenUp: int


class WorkStatus(TypedDict):
    """Exports and mails that wait, and mails that were given up; `oldestExportS` is how long the oldest has waited."""

    exports: int
    oldestExportS: float
    mails: int
    mailsGivenUp: int


class HousekeepingStatus(TypedDict):
    """When retention was through last (null: not since the start), and what it has deleted since the start."""

    doneAt: int | None
    deletedSections: int
    deletedCalls: int
    deletedBytes: int
    failures: int


class Status(TypedDict):
    """All of it. `sections` are those that are not stored yet, by state; `rules` how many are in force."""

    ready: bool
    reasons: list[Reason]
    warnings: list[Reason]
    systemname: str
    version: str
    startedAt: int
    now: int
    calls: int
    talks: int
    sections: dict[str, int]
    rules: int
    streams: int
    asterisk: AsteriskStatus
    queues: list[QueueStatus]
    spool: SpoolStatus | None
    database: DatabaseStatus
    callbacks: CallbackStatus
    work: WorkStatus
    housekeeping: HousekeepingStatus


async def status(request: web.Request, access: Access) -> web.StreamResponse:  # noqa: ARG001  # an operation's shape
    """`GET /api/v1/status`: numbers of this moment, `reasons` why it is not ready and `warnings`, with their remedies.

    Asks neither the database nor a disk, so it answers where they hang.
    """
    query_of(request, Nothing)
    metrics = request.app[METRICS]
    return json_response(_status(dependencies(request), metrics.now(), metrics.started_at_ms))


def _status(deps: Dependencies, now: Numbers, started_at_ms: int) -> Status:
    sections: Counter[str] = Counter()
    for (_, state), count in now.sections.items():
        sections[str(state)] += count
    reasons, space, keeping = deps.not_ready(), deps.space(), now.keeping
    callbacks, attempts = now.callbacks, now.callbacks.attempts
    waiting = {"asterisk": now.asterisk_waiting, "inbox": now.inbox_waiting, "database": now.changes_waiting}
    return {
        "ready": not reasons,
        "reasons": _reasons(reasons),
        "warnings": _reasons(deps.warnings()),
        "systemname": deps.systemname,
        "version": __version__,
        "startedAt": started_at_ms,
        "now": epoch_ms(deps.clock()),
        "calls": now.calls,
        "talks": now.talks,
        "sections": dict(sections),
        "rules": len(now.rules),
        "streams": now.streams,
        "asterisk": {"state": now.asterisk, "version": now.asterisk_version, "lagS": round(now.metered.lag_s, 3)},
        "queues": [{"name": name, "waiting": n, "bound": now.bounds.get(name, 0)} for name, n in waiting.items()],
        "spool": None
        if space is None
        else {"freeBytes": space.free_bytes, "totalBytes": space.total_bytes, "lowBytes": now.spool_low_bytes},
        "database": {
            "commits": keeping.commits.count,
            "failures": keeping.commit_failures,
            "lost": now.changes_lost,
            "intentsBytes": keeping.intents_bytes,
        },
        "callbacks": {
            "enabled": callbacks.webhooks.get("enabled", 0),
            "disabled": callbacks.webhooks.get("disabled", 0),
            "waiting": callbacks.waiting,
            "behind": callbacks.behind,
            "delivered": attempts.get("delivered", 0),
            "failed": attempts.get("failed", 0),
            "givenUp": callbacks.given_up,
        },
        "work": {
            "exports": now.waiting.exports,
            "oldestExportS": round(now.waiting.oldest_export_s, 1),
            "mails": now.waiting.mails,
            "mailsGivenUp": now.waiting.mails_given_up,
        },
        "housekeeping": {
            "doneAt": None if keeping.done_at_s is None else round(keeping.done_at_s * 1000),
            "deletedSections": keeping.deleted_sections,
            "deletedCalls": keeping.deleted_calls,
            "deletedBytes": keeping.deleted_bytes,
            "failures": keeping.failures,
        },
    }


def _reasons(found: Sequence[NotReady]) -> list[Reason]:
    return [{"code": one.code, "message": one.message} for one in found]


OPERATIONS = (
    Operation("GET", "/api/v1/status", status, "How the daemon does", {200: Status}, errors=(403,), admin=True),
)
