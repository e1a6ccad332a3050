"""Alarms and dashboard speak of metrics and labels that exist; every alarm has its runbook."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightly_metrics import NIGHTLY
from prometheus_client import CollectorRegistry

from oferta_serving.consuming.metrics import ConsumerMetrics
from oferta_serving.metrics import Metrics

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "serving" / "monitoring"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0][
    "rules"
]
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_METRIC = re.compile(r"\b(oferta_[a-z_]+)(?:\{([^}]*(?:\{[^}]*\}[^}]*)*)\})?")
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


def known() -> dict[str, set[str]]:
    """Every series that the processes and the nightly page tell, and its labels."""
    found: dict[str, set[str]] = dict(NIGHTLY)
    registries: list[CollectorRegistry] = [Metrics()._registry, ConsumerMetrics().registry]
    for registry in registries:
        for collector in set(registry._names_to_collectors.values()):
            labels = set(collector._labelnames)  # type: ignore[attr-defined]
            for name in registry._collector_to_names[collector]:
                found[name] = labels
    return found


@pytest.mark.parametrize("expr", [rule["expr"] for rule in RULES] + TARGETS)
def test_metrics_and_their_labels_exist(expr: str):
    series = known()
    asked = _METRIC.findall(expr)
    assert asked or expr.startswith("up")
    for name, matchers in asked:
        assert name in series, name
        assert set(_LABEL.findall(matchers)) <= series[name] | {"le"}, (name, matchers)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alarm_has_its_section_in_the_runbook(rule: dict[str, Any]):
    assert f"### {rule['alert']}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_runbook_speaks_of_no_other_alarms():
    told = set(re.findall(r"^### (Oferta\w+)$", RUNBOOK, re.MULTILINE))
    assert told == {rule["alert"] for rule in RULES}


def test_a_metric_that_does_not_exist_would_be_found():
    assert "oferta_answer_total" not in known()
    assert "oferta_answers_total" in known()
