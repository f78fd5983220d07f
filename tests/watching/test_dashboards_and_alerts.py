"""The Grafana dashboard and the alerts for Prometheus: they ask for metrics and labels that there are.

Prometheus' own tool reads the queries, and fires the alerts, where it is installed: Debian's package prometheus has it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import exporter
from exporter.watching.metrics import METRICS, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(exporter.__file__).parents[1] / "config"
DASHBOARD = json.loads((CONFIG / "grafana" / "ivs-export.json").read_text())
RULES = (CONFIG / "prometheus" / "ivs-export.rules.yaml").read_text()
LABELS = {metric.name: set(metric.labels) for metric in METRICS}
PROMTOOL = shutil.which("promtool")

_SELECTED = re.compile(r"(ivs_export_\w+)(?:\{([^{}]*)\})?")
_GROUPED = re.compile(r"\b(?:by|without)\s*\(([^()]*)\)")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")


def queries(node: Any = DASHBOARD) -> Iterator[str]:
    """The queries of the dashboard, wherever they stand, and of its variables."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"expr", "definition"}:
                yield value
            else:
                yield from queries(value)
    elif isinstance(node, list):
        for value in node:
            yield from queries(value)


def rule_queries() -> list[str]:
    """The alerts' expressions, on one line or on several."""
    found = re.findall(r"^ +expr: (?:\|\n((?: {10,}.*\n)+)|(.+)\n)", RULES, flags=re.MULTILINE)
    return [" ".join((several or one).split()) for several, one in found]


def test_queries_ask_for_what_there_is() -> None:
    """A renamed metric, a label that a metric has not, an unknown outcome: a panel would be empty for ever."""
    asked = [*queries(), *rule_queries()]
    assert len(asked) == len(DASHBOARD["panels"]) + 14, "each panel and each alert has its queries"
    for query in asked:
        selected = _SELECTED.findall(query)
        assert selected, query
        labels = set.intersection(*(LABELS[name] for name, _ in selected))
        for _, selectors in selected:
            pairs = re.findall(r'(\w+)\s*(?:=|!=|=~|!~)\s*"([^"]*)"', selectors)
            assert {label for label, _ in pairs} <= labels, query
            for label, value in pairs:
                assert label != "outcome" or set(value.split("|")) <= set(OUTCOMES), query
        for group in _GROUPED.findall(query):
            assert {label.strip() for label in group.split(",")} <= labels, query


def test_every_label_in_a_text_is_in_its_query() -> None:
    """A legend or a summary that names a label which the query has dropped shows nothing in its place."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]):
                assert label in target["expr"], target
    for rule in RULES.split("- alert:")[1:]:
        expression, _, texts = rule.partition("annotations:")
        for label in re.findall(r"\$labels\.(\w+)", texts):
            assert label in expression, rule


def test_panels_do_not_overlap() -> None:
    """Each has its place, and an id of its own."""
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def promtool(*arguments: str) -> None:
    assert PROMTOOL is not None
    ended = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_promtool
def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    """The rules as they are, and the dashboard's queries as rules of their own, with Grafana's variables filled in."""
    promtool("check", "rules", str(CONFIG / "prometheus" / "ivs-export.rules.yaml"))
    filled = [query.replace("$__rate_interval", "5m") for query in queries() if not query.startswith("label_values")]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "rules.json"))


_SCOPE = 'account="1", region="eu-west-1"'
#: For each alert: the samples of a metric, one a minute, and the minute at which it fires. Time begins at 0.
_FIRED: dict[str, tuple[dict[str, str], int, dict[str, str]]] = {
    "IvsExportStale": (
        {f"ivs_export_complete_until_timestamp_seconds{{{_SCOPE}}}": "0x60 _x2000"},
        26 * 60 + 20,
        {"account": "1", "region": "eu-west-1"},
    ),
    "IvsExportAbsent": ({"ivs_export_run_began_timestamp_seconds": "0x60 _x2000"}, 26 * 60 + 20, {}),
    "IvsExportFailed": (
        {'ivs_export_run_status{outcome="failed"}': "0 0 1"},
        5,
        {"outcome": "failed"},
    ),
    "IvsExportPartial": (
        {f'ivs_export_scope_status{{{_SCOPE}, outcome="partial"}}': "0 1 1"},
        5,
        {"account": "1", "region": "eu-west-1"},
    ),
    "IvsExportThrottled": (
        {
            f"ivs_export_throttled_calls_total{{{_SCOPE}}}": "0+50x200",
            f'ivs_export_calls_total{{{_SCOPE}, operation="ListParticipantEvents"}}': "0+300x200",
        },
        100,
        {"account": "1", "region": "eu-west-1"},
    ),
}


@needs_promtool
@pytest.mark.parametrize("alert", _FIRED)
def test_an_alert_fires_when_it_should(alert: str, tmp_path: Path) -> None:
    """At its time, for the scope that it is about; and none at the very beginning."""
    series, minute, labels = _FIRED[alert]
    severity = RULES.partition(f"- alert: {alert}")[2].partition("severity: ")[2].split()[0]
    fires = [{"exp_labels": {**labels, "severity": severity}}]
    bare = re.sub(r"^ {8}annotations:\n(?: {10}.*\n)+", "", RULES, flags=re.MULTILINE)
    (tmp_path / "bare.yaml").write_text(bare)
    tests = {
        "rule_files": [str(tmp_path / "bare.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": "0m", "alertname": alert, "exp_alerts": []},
                    {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": fires},
                ],
            }
        ],
    }
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    promtool("test", "rules", str(tmp_path / "tests.json"))


def test_every_alert_is_tried() -> None:
    """None is added without a case that fires it."""
    assert re.findall(r"- alert: (\w+)", RULES) == list(_FIRED)
