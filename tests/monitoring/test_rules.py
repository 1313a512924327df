"""The alert rules: promtool takes them, and each fires when it should and not before."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bridge.core.accounts import FAULTS
from tests.monitoring.firing import CASES, Case
from tests.monitoring.shipped import RULES, SCRAPE, alerts

Tools = Mapping[str, str]


def promtool(tools: Tools, *words: str) -> None:
    run = subprocess.run([tools["promtool"], *words], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def series(given: Mapping[str, str]) -> list[dict[str, str]]:
    """With an instance in each."""
    named = []
    for name, values in given.items():
        metric, _, labels = name.replace("'", '"').partition("{")
        named.append({"series": f'{metric}{{instance="pbx",{labels or "}"}', "values": values})
    return named


def firing(alert: str, minute: int, count: int) -> dict[str, Any]:
    samples = [{"labels": "{}", "value": count}] if count else []
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def written(folder: Path, tests: list[dict[str, Any]]) -> str:
    """promtool's file of these tests."""
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    return str(path)


def units(alert: str, case: Case) -> list[dict[str, Any]]:
    each = range(0, case.minutes + 1, max(1, case.minutes // 20))
    return [
        {"interval": "1m", "input_series": series(case.fires), "promql_expr_test": [
            firing(alert, 0, 0) if case.minutes > 1 else firing(alert, case.minutes, 1), firing(alert, case.minutes, 1)
        ]},
        {"interval": "1m", "input_series": series(case.quiet), "promql_expr_test": [firing(alert, m, 0) for m in each]},
    ]  # fmt: skip


def test_promtool_takes_rules_and_example(tools: Tools, tmp_path: Path) -> None:
    promtool(tools, "check", "rules", str(RULES))
    example = tmp_path / "prometheus.yml"
    example.write_text(SCRAPE.read_text().replace("/etc/prometheus/recbridge.rules.yml", str(RULES)))
    promtool(tools, "check", "config", str(example))


def test_what_the_example_says_of_other_machines_is_right_too(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("rb_x\n")
    text = SCRAPE.read_text().replace("/etc/prometheus/recbridge.rules.yml", str(RULES))
    text = re.sub(r"^    # (scheme|authorization|  credentials_file)", r"    \1", text, flags=re.MULTILINE)
    text = text.replace("/etc/prometheus/recbridge.token", str(tmp_path / "token"))
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert (job["scheme"], list(job["authorization"])) == ("https", ["credentials_file"])
    (tmp_path / "prometheus.yml").write_text(text)
    promtool(tools, "check", "config", str(tmp_path / "prometheus.yml"))


def test_each_alert_fires_when_it_should_and_not_before(tools: Tools, tmp_path: Path) -> None:
    tests = [unit for alert, case in CASES.items() for unit in units(alert, case)]
    promtool(tools, "test", "rules", written(tmp_path, tests))


def test_the_words_of_an_alert_name_the_machine_and_are_whole(tools: Tools, tmp_path: Path) -> None:
    nothing: list[dict[str, Any]] = [
        {"interval": "1m", "input_series": series(case.fires), "alert_rule_test": [
            {"eval_time": f"{case.minutes}m", "alertname": alert, "exp_alerts": []}
        ]}
        for alert, case in CASES.items()
    ]  # fmt: skip
    run = subprocess.run(
        [tools["promtool"], "test", "rules", written(tmp_path, nothing)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    # It did not expect any alert, and shows each.
    said = dict(re.findall(r'Labels:\{.*?alertname="(\w+)".*\n\s*Annotations:(.*)', run.stdout + run.stderr))
    assert set(said) == set(CASES)
    for alert, words in said.items():
        assert alert == "RecbridgeAbsent" or "pbx" in words.partition("summary=")[2]
        assert "error expanding" not in words
        assert "{{" not in words
        assert "<no value>" not in words


def test_every_alert_is_tried_and_says_what_to_do() -> None:
    assert [rule["alert"] for rule in alerts()] == list(CASES)
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
        remedy = r"`[a-zG]|[Mm]ake room|NTP|/ready|prometheus.yml|recbridge_"
        assert re.search(remedy, rule["annotations"]["description"]), rule["alert"]


def test_the_reasons_of_missing_talk_are_the_faults() -> None:
    (rule,) = (rule for rule in alerts() if rule["alert"] == "RecbridgeTalkMissing")
    (reasons,) = re.findall(r'reason=~"([^"]*)"', rule["expr"])
    assert set(reasons.split("|")) == set(map(str, FAULTS))
