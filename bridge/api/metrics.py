"""Numbers for Prometheus. No names, numbers or channels of anybody are among them, and no label grows without bound."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.api.addresses import is_local
from bridge.api.answers import ForbiddenError
from bridge.api.auth import AUTHENTICATOR
from bridge.api.dependencies import Dependencies, dependencies
from bridge.api.operations import MediaType, Operation
from bridge.core.access import Role
from bridge.core.accounts import Reason
from bridge.core.coverage import Tally
from bridge.core.records import Alarm, FactKind, NumberedFact, SectionState
from bridge.core.sections import FINAL

_OUTCOMES = {FactKind(f"section.{state}"): str(state) for state in SectionState if state in FINAL}
_ALARMS = tuple(map(str, Alarm))
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class CallbackNumbers:
    """What callbacks do: deliveries that wait, attempts since the start, facts that the slowest has before it."""

    webhooks: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    behind: int = 0
    attempts: Mapping[str, int] = field(default_factory=dict)
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is so at this moment. `coverage` sums up the calls that have ended since the start."""

    calls: int = 0
    talks: int = 0
    sections: Mapping[SectionState, int] = field(default_factory=dict)
    asterisk_connected: bool = False
    asterisk_waiting: int = 0
    inbox_waiting: int = 0
    changes_waiting: int = 0
    changes_lost: int = 0
    streams: int = 0
    coverage: Tally = field(default_factory=Tally)
    callbacks: CallbackNumbers = field(default_factory=CallbackNumbers)


class Metrics:
    """Counts the facts that are told, and shows them with `numbers` in a registry of its own."""

    def __init__(self, numbers: Callable[[], Numbers] = Numbers) -> None:
        self.facts = 0
        self.outcomes: Counter[str] = Counter()
        self.alarms: Counter[str] = Counter()
        self.connects = 0
        self.losses = 0
        self._numbers = numbers

    def count(self, facts: Sequence[NumberedFact]) -> None:
        """Facts that were kept. Never raises."""
        self.facts += len(facts)
        for numbered in facts:
            kind = numbered.fact.kind
            if kind in _OUTCOMES:
                self.outcomes[_OUTCOMES[kind]] += 1
            elif kind is FactKind.SECTION_ALARM:
                alarm = numbered.fact.data.get("alarm")
                self.alarms[alarm if alarm in _ALARMS else _OTHER] += 1
            elif kind is FactKind.ASTERISK_CONNECTED:
                self.connects += 1
            elif kind is FactKind.ASTERISK_LOST:
                self.losses += 1

    def text(self, deps: Dependencies) -> bytes:
        """Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Now(self, self._numbers(), deps))
        ProcessCollector(registry=registry)
        return generate_latest(registry)


class _Now(Collector):
    def __init__(self, counted: Metrics, numbers: Numbers, deps: Dependencies) -> None:
        self._counted = counted
        self._now = numbers
        self._deps = deps

    def collect(self) -> Iterator[Metric]:
        counted, now = self._counted, self._now
        yield InfoMetricFamily("recbridge", "What runs.", {"version": __version__})
        yield from self._readiness()
        yield _gauge("calls", "Calls that run.", now.calls)
        yield _gauge("talks", "Talks that run.", now.talks)
        yield _by("sections", "Sections that are not final yet.", "state", {
            str(state): now.sections.get(state, 0) for state in SectionState if state not in FINAL
        })  # fmt: skip
        yield _counter_by("sections_ended", "Sections that became final.", "outcome", {
            outcome: counted.outcomes[outcome] for outcome in _OUTCOMES.values()
        })  # fmt: skip
        yield _counter_by("section_alarms", "What was wrong with sections.", "alarm", {
            alarm: counted.alarms[alarm] for alarm in (*_ALARMS, _OTHER)
        })  # fmt: skip
        yield _counter("facts", "Facts that were kept.", counted.facts)
        yield _gauge("asterisk_connected", "Whether Asterisk is connected.", now.asterisk_connected)
        yield _counter("asterisk_connects", "How often Asterisk was connected.", counted.connects)
        yield _counter("asterisk_losses", "How often the connection to Asterisk was lost.", counted.losses)
        yield _by("waiting", "What waits to be handled.", "queue", {
            "asterisk": now.asterisk_waiting, "inbox": now.inbox_waiting, "database": now.changes_waiting
        })  # fmt: skip
        yield _counter("changes_lost", "Changes that neither the database nor the file took.", now.changes_lost)
        yield _gauge("streams", "Live streams that are open.", now.streams)
        space = self._deps.space()
        if space is not None:
            yield _gauge("spool_free_bytes", "Room on the spool's disk.", space.free_bytes)
            yield _gauge("spool_total_bytes", "Size of the spool's disk.", space.total_bytes)
        yield from self._callbacks(now.callbacks)
        yield from self._coverage(now.coverage)

    def _readiness(self) -> Iterator[Metric]:
        reasons, warnings = self._deps.not_ready(), self._deps.warnings()
        yield _gauge("ready", "Whether recordings can be made as they should.", not reasons)
        yield _by("not_ready", "What hurts recordings.", "reason", {one.code: 1 for one in reasons})
        yield _by("warning", "What an admin should look at.", "reason", {one.code: 1 for one in warnings})

    @staticmethod
    def _callbacks(now: CallbackNumbers) -> Iterator[Metric]:
        yield _by("webhooks", "Callbacks that are set up.", "state", {
            state: now.webhooks.get(state, 0) for state in ("enabled", "disabled")
        })  # fmt: skip
        yield _gauge("webhook_deliveries_waiting", "Deliveries that wait, of all callbacks.", now.waiting)
        yield _gauge("webhook_facts_behind", "Facts that the slowest enabled callback has before it.", now.behind)
        yield _counter_by("webhook_attempts", "Deliveries that were tried.", "outcome", {
            outcome: now.attempts.get(outcome, 0) for outcome in ("delivered", "failed")
        })  # fmt: skip
        yield _counter("webhook_given_up", "Deliveries that were given up.", now.given_up)

    @staticmethod
    def _coverage(tally: Tally) -> Iterator[Metric]:
        yield _counter("ended_calls_talked_seconds", "Talk of calls that ended 5 minutes ago.", tally.all.talked_s)
        yield _counter("ended_calls_recorded_seconds", "Of it recorded by any rule.", tally.all.recorded_s)
        yield _counter_by("ended_calls_missing_seconds", "Not recorded by any rule, and why.", "reason", {
            str(reason): tally.all.reasons[reason] for reason in Reason
        })  # fmt: skip
        rules = {"none" if rule_id is None else str(rule_id): sums for rule_id, sums in tally.by_rule.items()}
        yield _counter_by("talked_seconds", "Talk of ended calls that a rule had to do with.", "rule", {
            rule: sums.talked_s for rule, sums in rules.items()
        })  # fmt: skip
        yield _counter_by("recorded_seconds", "Of it recorded by that rule.", "rule", {
            rule: sums.recorded_s for rule, sums in rules.items()
        })  # fmt: skip
        yield _counter("faulty_calls", "Ended calls that somebody has to look at.", tally.faulty)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"recbridge_{name}", words, float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"recbridge_{name}", words, float(value))


def _by(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"recbridge_{name}", words, labels=[label])
    for one, value in values.items():
        family.add_metric([one], value)
    return family


def _counter_by(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"recbridge_{name}", words, labels=[label])
    for one, value in values.items():
        family.add_metric([one], value)
    return family


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
    return web.Response(body=request.app[METRICS].text(deps), headers={"Content-Type": CONTENT_TYPE_LATEST})


OPERATIONS = (
    Operation(
        "GET",
        "/metrics",
        metrics,
        "Numbers for Prometheus",
        {200: MediaType("text/plain")},
        errors=(403,),
        public=True,
        security=("bearer", "token", "session"),
    ),
)
