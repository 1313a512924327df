"""Each metric with its name, its words and its values. `systemd/METRICS.md` is made from what this gives."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from bridge import __version__
from bridge.api.http_numbers import OTHER, HttpNumbers
from bridge.api.numbers import ASTERISK_STATES, CallbackNumbers, KeepingNumbers, Numbers, WaitingNumbers
from bridge.api.rule_labels import RuleLabels, label_of
from bridge.core.accounts import Reason
from bridge.core.coverage import Tally
from bridge.core.histograms import Histogram
from bridge.core.ids import RuleId
from bridge.core.live import NotReady
from bridge.core.records import Alarm, FactKind, SectionState
from bridge.core.sections import FINAL
from bridge.core.space import Space

OUTCOMES = {FactKind(f"section.{state}"): str(state) for state in SectionState if state in FINAL}
ALARMS = tuple(map(str, Alarm))
_OPEN = tuple(state for state in SectionState if state not in FINAL)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of the facts that were kept: section's ends by rule and outcome, alarms, connections."""

    facts: int
    ended: Mapping[tuple[RuleId | None, str], int]
    alarms: Mapping[str, int]
    connects: int
    losses: int
    started_at_s: float


def whole(now: Numbers) -> Iterator[Metric]:
    """The program, calls and queues."""
    yield InfoMetricFamily("recbridge", "What runs.", {"version": __version__, "python": platform.python_version()})
    yield _gauge("calls", "Calls that run.", now.calls)
    yield _gauge("talks", "Talks that run.", now.talks)
    yield _gauge("rules", "Rules in force.", len(now.rules))
    yield _by("waiting", "What waits to be handled.", "queue", {
        "asterisk": now.asterisk_waiting, "inbox": now.inbox_waiting, "database": now.changes_waiting
    })  # fmt: skip
    yield _by(
        "waiting_limit",
        "How much may wait. With more Asterisk is connected anew (asterisk), its queue fills (inbox), or what comes "
        "waits in the intents file alone (database).",
        "queue",
        now.bounds,
    )
    yield _gauge("streams", "Live streams that are open.", now.streams)
    yield _histogram("event_loop_lag_seconds", "By how much the event loop is late, four times a second.", now.loop_lag)


def readiness(reasons: list[NotReady], warnings: list[NotReady], space: Space | None, now: Numbers) -> Iterator[Metric]:
    """Whether all is well, and the disk."""
    yield _gauge("ready", "Whether recordings can be made as they should.", not reasons)
    yield _by("not_ready", "What hurts recordings.", "reason", {one.code: 1 for one in reasons})
    yield _by("warning", "What an admin should look at.", "reason", {one.code: 1 for one in warnings})
    if space is not None:
        yield _gauge("spool_free_bytes", "Room on the spool's disk.", space.free_bytes)
        yield _gauge("spool_total_bytes", "Size of the spool's disk.", space.total_bytes)
        if now.spool_low_bytes is not None:
            yield _gauge("spool_low_bytes", "With less room than that it is said to be low.", now.spool_low_bytes)


def asterisk(counted: Counted, now: Numbers) -> Iterator[Metric]:
    """The connection, and what comes over it."""
    yield _gauge("asterisk_connected", "Whether Asterisk is connected.", now.asterisk == "connected")
    yield _by("asterisk_state", "How the connection to Asterisk stands: 1 for one of the states.", "state", {
        state: state == now.asterisk for state in ASTERISK_STATES
    })  # fmt: skip
    yield _counter("asterisk_connects", "How often Asterisk was connected.", counted.connects)
    yield _counter("asterisk_losses", "How often the connection to Asterisk was lost.", counted.losses)
    yield _counter("events", "Events of Asterisk's that were handled.", now.metered.events)
    yield _gauge(
        "event_lag_seconds",
        "By how much the newest event was older than our time when it was handled; below 0 where the clocks differ.",
        now.metered.lag_s,
    )


def sections(counted: Counted, now: Numbers, rules: RuleLabels) -> Iterator[Metric]:
    """Sections and what they record, by state and rule."""
    in_force = frozenset(now.rules)
    by_rule = {str(rule_id): dict.fromkeys(_OPEN, 0) for rule_id in now.rules}
    for (rule_id, state), count in now.sections.items():
        of_one = by_rule.setdefault(label_of(rule_id, in_force), dict.fromkeys(_OPEN, 0))
        of_one[state] = of_one.get(state, 0) + count
    yield _by("sections", "Sections that are not final yet.", "state", {
        str(state): sum(of_one[state] for of_one in by_rule.values()) for state in _OPEN
    })  # fmt: skip
    family = GaugeMetricFamily(
        "recbridge_rule_sections",
        "Sections that are not final yet, by rule in force; `other`: of all other rules.",
        labels=["rule", "state"],
    )
    for rule, of_one in by_rule.items():
        for state in _OPEN:
            family.add_metric([rule, str(state)], of_one[state])
    yield family
    yield _counter_by("sections_ended", "Sections that became final.", "outcome", {
        outcome: sum(count for (_, one), count in counted.ended.items() if one == outcome)
        for outcome in OUTCOMES.values()
    })  # fmt: skip
    ended = CounterMetricFamily(
        "recbridge_rule_sections_ended", "Sections that became final, by rule in force.", labels=["rule", "outcome"]
    )
    for outcome in OUTCOMES.values():
        values = {rule_id: float(count) for (rule_id, one), count in counted.ended.items() if one == outcome}
        for rule, value in rules.counters(f"ended {outcome}", values, now.rules).items():
            ended.add_metric([rule, outcome], value)
    yield ended
    yield _counter_by("section_alarms", "What was wrong with sections.", "alarm", {
        alarm: counted.alarms.get(alarm, 0) for alarm in (*ALARMS, OTHER)
    })  # fmt: skip
    yield from _recording(now, rules)


def _recording(now: Numbers, rules: RuleLabels) -> Iterator[Metric]:
    metered = now.metered
    yield _histogram(
        "start_from_talk_seconds",
        "From the beginning of a talk that a rule is to record to MixMonitorStart, both by Asterisk's clock.",
        metered.from_talk,
    )
    yield _histogram(
        "start_from_request_seconds",
        "From our decision to record to Asterisk's answer that MixMonitor runs.",
        metered.from_request,
    )
    yield _counter("live_talked_seconds", "Talk up to now, that which goes on included.", metered.talked_s)
    yield _counter_by(
        "live_wanted_seconds",
        "Talk up to now that a rule was to record.",
        "rule",
        rules.counters("wanted", metered.wanted_s, now.rules),
    )
    yield _counter_by(
        "live_recorded_seconds",
        "How long MixMonitor ran for a rule up to now, pauses left out; what the files really hold is known later.",
        "rule",
        rules.counters("recorded", {**dict.fromkeys(metered.wanted_s, 0.0), **metered.recorded_s}, now.rules),
    )
    yield _counter(
        "recorded_bytes",
        "Bytes of recordings: mixed files as they grow, a stereo one with both sides once it is whole.",
        metered.recorded_bytes,
    )


def coverage(tally: Tally, now: Numbers, rules: RuleLabels) -> Iterator[Metric]:
    """Of ended calls what was recorded, by the files."""
    yield _counter("ended_calls_talked_seconds", "Talk of calls that ended 5 minutes ago.", tally.all.talked_s)
    yield _counter(
        "ended_calls_recorded_seconds",
        "Of the talk of calls that ended 5 minutes ago, what any rule recorded.",
        tally.all.recorded_s,
    )
    yield _counter_by(
        "ended_calls_missing_seconds",
        "Of the talk of calls that ended 5 minutes ago, what no rule recorded, and why.",
        "reason",
        {str(reason): tally.all.reasons[reason] for reason in Reason},
    )
    talked = {rule_id: sums.talked_s for rule_id, sums in tally.by_rule.items()}
    yield _counter_by(
        "talked_seconds",
        "Talk of ended calls that a rule had to do with.",
        "rule",
        rules.counters("talked", talked, now.rules),
    )
    recorded = {rule_id: sums.recorded_s for rule_id, sums in tally.by_rule.items()}
    yield _counter_by(
        "recorded_seconds",
        "Of the talk of ended calls that a rule had to do with, what it recorded.",
        "rule",
        rules.counters("kept", recorded, now.rules),
    )
    yield _counter("faulty_calls", "Ended calls that somebody has to look at.", tally.faulty)


def keeping(counted: Counted, now: Numbers) -> Iterator[Metric]:
    """The database, and what is deleted."""
    kept: KeepingNumbers = now.keeping
    yield _counter("facts", "Facts that were kept.", counted.facts)
    yield _histogram("commit_seconds", "How long commits of what the recorder decides took.", kept.commits)
    yield _counter("commit_failures", "Commits that failed; each is tried again.", kept.commit_failures)
    yield _gauge("intents_bytes", "Bytes in the intents file that the database has not taken in.", kept.intents_bytes)
    yield _counter("changes_lost", "Changes that neither the database nor the file took.", now.changes_lost)
    yield _counter("housekeeping_deleted_sections", "Recordings deleted as they were too old.", kept.deleted_sections)
    yield _counter(
        "housekeeping_deleted_bytes", "Bytes of recordings deleted as they were too old.", kept.deleted_bytes
    )
    yield _counter("housekeeping_deleted_calls", "Finished calls deleted as they were too old.", kept.deleted_calls)
    yield _counter("housekeeping_failures", "Runs that were put off or failed; the next one is to come.", kept.failures)
    if kept.done_at_s is not None:
        yield _gauge("housekeeping_done_timestamp_seconds", "When a run was through last.", kept.done_at_s)
    yield _gauge("start_time_seconds", "When recbridge started.", counted.started_at_s)


def callbacks(now: CallbackNumbers) -> Iterator[Metric]:
    """Callbacks and their deliveries."""
    yield _by("webhooks", "Callbacks that are set up.", "state", {
        state: now.webhooks.get(state, 0) for state in ("enabled", "disabled")
    })  # fmt: skip
    yield _gauge("webhook_deliveries_waiting", "Deliveries that wait, of all callbacks.", now.waiting)
    yield _gauge("webhook_facts_behind", "Facts that the slowest enabled callback has before it.", now.behind)
    yield _counter_by("webhook_attempts", "Deliveries that were tried.", "outcome", {
        outcome: now.attempts.get(outcome, 0) for outcome in ("delivered", "failed")
    })  # fmt: skip
    yield _counter("webhook_given_up", "Deliveries that were given up.", now.given_up)


def waiting(now: WaitingNumbers) -> Iterator[Metric]:
    """Exports and mails."""
    yield _gauge("exports_waiting", "Exports that wait or are being made.", now.exports)
    yield _gauge("exports_oldest_seconds", "How long ago the oldest of them was asked for.", now.oldest_export_s)
    yield _gauge("mails_waiting", "Mails that are not sent yet.", now.mails)
    yield _counter("mails_given_up", "Mails that were given up.", now.mails_given_up)


def http(numbers: HttpNumbers) -> Iterator[Metric]:
    """Requests by the route that took them."""
    requests = CounterMetricFamily(
        "recbridge_http_requests",
        "Requests that are over, by route (`other`: there is none), method and class of the status.",
        labels=["route", "method", "status"],
    )
    for labels, count in numbers.requests.items():
        requests.add_metric(labels, count)
    yield requests
    durations = HistogramMetricFamily(
        "recbridge_http_request_duration_seconds", "How long requests took; live streams left out.", labels=["route"]
    )
    for route, one in numbers.durations.items():
        durations.add_metric([route], list(one.buckets()), one.sum)
    yield durations


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"recbridge_{name}", words, float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"recbridge_{name}", words, float(value))


def _histogram(name: str, words: str, values: Histogram) -> Metric:
    return HistogramMetricFamily(f"recbridge_{name}", words, list(values.buckets()), values.sum)


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
