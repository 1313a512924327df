"""The table of the metrics in systemd/METRICS.md: `python -m tests.monitoring.table` writes it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

from prometheus_client.metrics_core import Metric

from bridge.api.dependencies import Dependencies
from bridge.api.http_numbers import OTHER
from bridge.api.metrics import Metrics
from bridge.api.numbers import KeepingNumbers, Numbers
from bridge.core.histograms import Histogram
from bridge.core.ids import FactNumber, RuleId
from bridge.core.live import NotReady
from bridge.core.records import Fact, FactKind, NumberedFact
from bridge.core.space import Space
from tests.monitoring.shipped import TABLE

BEGIN, END = "<!-- metrics -->", "<!-- /metrics -->"
_SUFFIXES = {"counter": "_total", "info": "_info"}


def families() -> Sequence[Metric]:
    """Everything that a daemon can show, once."""
    one = RuleId(1)
    now = Numbers(
        rules=[one], bounds={"inbox": 1}, spool_low_bytes=1, keeping=KeepingNumbers(Histogram((1.0,)), done_at_s=1.0)
    )
    metrics = Metrics(lambda: now)
    fact = Fact(FactKind.SECTION_STORED, datetime(2026, 3, 2, tzinfo=UTC), rule_id=one)
    metrics.count([NumberedFact(FactNumber(1), fact)])
    metrics.http.requests[OTHER, "GET", "2xx"] = 1
    metrics.http.durations[OTHER] = Histogram((1.0,))
    said = [NotReady("code", "words")]
    deps = SimpleNamespace(not_ready=lambda: said, warnings=lambda: said, space=lambda: Space(1, 2))
    return list(metrics.collect(cast("Dependencies", deps)))


def name_of(metric: Metric) -> str:
    """As Prometheus has it; of a histogram without `_bucket`, `_sum` and `_count`."""
    return metric.name + _SUFFIXES.get(metric.type, "")


def _rows() -> Iterator[str]:
    for metric in families():
        labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name_of(metric)}` | {metric.type} | {shown} | {metric.documentation} |"


def table() -> str:
    """Markdown."""
    return "\n".join(["| name | type | labels | meaning |", "| --- | --- | --- | --- |", *_rows()])


def in_place(text: str) -> str:
    """The document with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    TABLE.write_text(in_place(TABLE.read_text()))
