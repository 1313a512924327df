"""The table of metrics, and what Prometheus' conventions ask of their names."""

from tests.monitoring.shipped import TABLE, queries
from tests.monitoring.table import families, in_place, name_of


def test_the_table_is_what_is_shown() -> None:
    text = TABLE.read_text()
    assert text == in_place(text), "python -m tests.monitoring.table"


def test_names_follow_the_conventions() -> None:
    for metric in families():
        assert metric.name.startswith("recbridge")
        assert metric.documentation.endswith(".")
        assert name_of(metric).endswith("_total") is (metric.type == "counter")
        if metric.type == "histogram":
            assert metric.name.endswith("_seconds")
        for unit in ("_ms", "_minutes", "_kb", "_percent"):
            assert unit not in metric.name


def test_every_name_in_alerts_and_dashboard_is_one_that_is_shown() -> None:
    shown = {sample.name for metric in families() for sample in metric.samples}
    for query in queries():
        names = query.names()
        assert names or "up{" in query.expr, query
        assert {name for name in names if not name.startswith("process_")} <= shown, query
