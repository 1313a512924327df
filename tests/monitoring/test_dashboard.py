"""The dashboard, as far as it can be judged without Grafana, which Debian does not have.

Its queries are tried in `test_prometheus`; its JSON was held against `@grafana/schema` 13.2.3 by hand.
"""

import re
from itertools import combinations

from tests.monitoring.shipped import dashboard, panels

ROWS = [
    "Is it well?", "Calls and recording", "Latency", "Disk", "Queues and database", "Callbacks and exports", "HTTP",
    "Process",
]  # fmt: skip


def test_rows_are_in_order_and_each_has_panels() -> None:
    titles = [panel["title"] for panel in panels() if panel["type"] == "row"]
    assert titles == ROWS
    followers = [after for before, after in zip(panels(), panels()[1:], strict=False) if before["type"] == "row"]
    assert all(panel["type"] != "row" for panel in followers)


def test_panels_have_their_own_ids_and_places() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in panels()), 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


def test_every_query_is_of_the_chosen_pbx_and_data_source() -> None:
    assert [one["name"] for one in dashboard()["templating"]["list"]] == ["datasource", "instance"]
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            selectors = re.findall(r"(?:recbridge|process)_[a-z_]+(\{[^}]*\})?", target["expr"])
            assert selectors
            assert all('instance=~"$instance"' in selector for selector in selectors), target["expr"]


def test_panels_tell_what_they_show_and_in_which_unit() -> None:
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
