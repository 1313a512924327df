"""Numbers for Prometheus. No names, numbers or channels of anybody are among them, and no label grows without bound."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.api import metric_families as families
from bridge.api.addresses import is_local
from bridge.api.answers import ForbiddenError
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.http_numbers import OTHER, HttpNumbers
from bridge.api.numbers import Numbers
from bridge.api.operations import MediaType, Operation
from bridge.api.rule_labels import RuleLabels
from bridge.core.access import Role
from bridge.core.ids import RuleId
from bridge.core.records import FactKind, NumberedFact


class Metrics:
    """Counts the facts that are told, and shows them with `numbers` in a registry of its own."""

    def __init__(self, numbers: Callable[[], Numbers] = Numbers) -> None:
        self.http = HttpNumbers()
        self._numbers = numbers
        self._rules = RuleLabels()
        self._facts = 0
        self._ended: Counter[tuple[RuleId | None, str]] = Counter()
        self._alarms: Counter[str] = Counter()
        self._connects = 0
        self._losses = 0
        self._started_at_s = time.time()

    def now(self) -> Numbers:
        """What is so at this moment."""
        return self._numbers()

    @property
    def started_at_ms(self) -> int:
        """When the counting began, epoch milliseconds: the daemon's start."""
        return round(self._started_at_s * 1000)

    def count(self, facts: Sequence[NumberedFact]) -> None:
        """Facts that were kept. Never raises."""
        self._facts += len(facts)
        for numbered in facts:
            kind = numbered.fact.kind
            if kind in families.OUTCOMES:
                self._ended[numbered.fact.rule_id, families.OUTCOMES[kind]] += 1
            elif kind is FactKind.SECTION_ALARM:
                alarm = numbered.fact.data.get("alarm")
                self._alarms[alarm if alarm in families.ALARMS else OTHER] += 1
            elif kind is FactKind.ASTERISK_CONNECTED:
                self._connects += 1
            elif kind is FactKind.ASTERISK_LOST:
                self._losses += 1

    async def text(self, deps: Dependencies) -> bytes:
        """Prometheus' text format. It is written in a thread: that takes longer than to collect what is in it."""
        return await asyncio.to_thread(_written, list(self.collect(deps)))

    def collect(self, deps: Dependencies) -> Iterator[Metric]:
        """All of ours."""
        now, rules = self._numbers(), self._rules
        counted = families.Counted(
            self._facts, self._ended, self._alarms, self._connects, self._losses, self._started_at_s
        )
        yield from families.whole(now)
        yield from families.readiness(list(deps.not_ready()), list(deps.warnings()), deps.space(), now)
        yield from families.asterisk(counted, now)
        yield from families.sections(counted, now, rules)
        yield from families.coverage(now.coverage, now, rules)
        yield from families.keeping(counted, now)
        yield from families.callbacks(now.callbacks)
        yield from families.waiting(now.waiting)
        yield from families.http(self.http)


class _Collected(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _written(metrics: Sequence[Metric]) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


METRICS = web.AppKey("metrics", Metrics)


async def metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`: without a token from this machine itself, else with an admin's.

    What a proxy passes on is from elsewhere.
    """
    deps = dependencies(request)
    if not is_local(request):
        access = await request.app[AUTHENTICATOR].access(request)
        if access.token.role is not Role.ADMIN:
            raise ForbiddenError("metrics are for admins")
    text = await request.app[METRICS].text(deps)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


OPERATIONS = (
    Operation(
        "GET",
        "/metrics",
        metrics,
        "Numbers for Prometheus",
        {200: MediaType("text/plain")},
        errors=(403,),
        public=True,
        security=("", "bearer", "token", "session"),
    ),
)
