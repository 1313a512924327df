"""The files that ship, and the metrics that every daemon shows."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SYSTEMD = Path(__file__).parents[2] / "systemd"
RULES = SYSTEMD / "prometheus" / "recbridge.rules.yml"
SCRAPE = SYSTEMD / "prometheus" / "scrape.yml"
DASHBOARD = SYSTEMD / "grafana" / "recbridge.json"
TABLE = SYSTEMD / "METRICS.md"

_NAME = re.compile(r"\b(?:recbridge|process)_[a-z_]+\b")
_VARIABLES = {"$__rate_interval": "1m", "$instance": ".*"}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and where it stands."""

    where: str
    expr: str

    def names(self) -> set[str]:
        """The metrics that it asks for."""
        return set(_NAME.findall(self.expr))


def alerts() -> list[dict[str, Any]]:
    """All alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Grafana's JSON."""
    made: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return made


def panels() -> Sequence[dict[str, Any]]:
    """Those of the dashboard, rows among them."""
    found: Sequence[dict[str, Any]] = dashboard()["panels"]
    return found


def queries() -> Iterator[Query]:
    """Every query of the alerts, of their templates and of the dashboard, with Grafana's variables filled in."""
    for rule in alerts():
        yield Query(rule["alert"], rule["expr"])
        for text in rule["annotations"].values():
            for template in re.findall(r"printf `([^`]*)`", text):
                yield Query(f"{rule['alert']}'s words", template.replace("%q", '"pbx"'))
    for panel in panels():
        for target in panel.get("targets", ()):
            yield Query(panel["title"], _filled(target["expr"]))
    for annotation in dashboard()["annotations"]["list"]:
        yield Query(annotation["name"], _filled(annotation["expr"]))


def _filled(expr: str) -> str:
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    return expr
