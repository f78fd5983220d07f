"""A run's metrics: what they say of it, and how Prometheus reads them."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import exporter
from exporter.watching.metrics import METRICS, OUTCOMES, MetricKind, Sample, samples_of
from exporter.watching.prometheus import text_of
from tests.support.summaries import BEGAN_US, a_partial_run, scopes_of, summary_of

SCOPE = {"account": "123456789012", "region": "eu-west-1"}


def read(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples as Prometheus' own client reads them: none may stand there twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value_of(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float | None:
    return found.get((f"ivs_export_{name}", frozenset(labels.items())))


def test_a_run_in_numbers() -> None:
    """Each number is that of the summary, under the contract's names; a run that goes on has no end."""
    ledger = a_partial_run()
    found = read(text_of(samples_of(summary_of(ledger, 3))))
    for name, labels, value in (
        ("run_status", {"outcome": "partial"}, 1),
        ("run_status", {"outcome": "running"}, 0),
        ("run_began_timestamp_seconds", {}, BEGAN_US / 1e6),
        ("run_ended_timestamp_seconds", {}, BEGAN_US / 1e6 + 60),
        ("run_exit_code", {}, 3),
        ("scope_status", {**SCOPE, "outcome": "partial"}, 1),
        ("complete_until_timestamp_seconds", SCOPE, BEGAN_US / 1e6),
        ("found_units_total", SCOPE, 10),
        ("units_total", {**SCOPE, "outcome": "exported"}, 7),
        ("units_total", {**SCOPE, "outcome": "failed"}, 1),
        ("units_total", {**SCOPE, "outcome": "abandoned"}, 0),
        ("found_sessions_total", SCOPE, 4),
        ("fetched_events_total", SCOPE, 1_300),
        ("written_events_total", SCOPE, 1_234),
        ("calls_total", {**SCOPE, "operation": "ListParticipantEvents"}, 12),
        ("throttled_calls_total", SCOPE, 3),
        ("retried_calls_total", SCOPE, 2),
        ("failures_total", SCOPE, 1),
    ):
        assert value_of(found, name, **labels) == value, name
    going_on = read(text_of(samples_of(summary_of(ledger))))
    assert value_of(going_on, "run_status", outcome="running") == 1
    assert value_of(going_on, "scope_status", **SCOPE, outcome="partial") == 0
    assert value_of(going_on, "run_ended_timestamp_seconds") is None
    assert value_of(going_on, "run_exit_code") is None


def test_a_scope_has_no_series_before_its_account_is_known() -> None:
    """They would stand there for ever, beside those with the account; at the end they say what became of it."""
    ledger = a_partial_run(*scopes_of([(None, "us-east-1")]))
    own = {"region": "us-east-1", "account": "", "outcome": "partial"}
    assert not [
        labels for _, labels in read(text_of(samples_of(summary_of(ledger)))) if ("region", "us-east-1") in labels
    ]
    assert value_of(read(text_of(samples_of(summary_of(ledger, 3)))), "scope_status", **own) is not None


def test_names_keep_to_one_form() -> None:
    """Names are the contract's, each once; a counter ends in _total and nothing else does; labels are four words."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"ivs_export(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
        assert set(metric.labels) <= {"account", "region", "operation", "outcome"}
        assert metric.meaning.endswith(".")


def test_every_metric_has_samples() -> None:
    """What is declared is also made: a dashboard may ask for it."""
    assert {sample.metric for sample in samples_of(summary_of(a_partial_run(), 0))} == set(METRICS)


@settings(max_examples=25)
@example([(None, 'a"b\\c\nd')])
@given(st.lists(st.tuples(st.none() | st.sampled_from(["111122223333"]), st.text(max_size=9)), max_size=6))
def test_any_scopes_are_read_as_they_were_written(names: list[tuple[str | None, str]]) -> None:
    """Whatever a region is called, and however often, Prometheus reads each sample once, with its value."""
    samples = samples_of(summary_of(a_partial_run(*scopes_of(names)), 0))
    found = read(text_of(samples))
    assert len(found) == len(samples)
    for sample in samples:
        assert value_of(found, sample.metric.name.removeprefix("ivs_export_"), **labels_of(sample)) == sample.value


def test_a_scope_that_is_named_twice_has_one_status() -> None:
    """Its counts add up, and its status stays 1 or 0."""
    found = read(text_of(samples_of(summary_of(a_partial_run(*scopes_of([(None, "us-east-1")] * 2)), 0))))
    own = {"account": "", "region": "us-east-1"}
    assert sum(value_of(found, "scope_status", **own, outcome=outcome) or 0 for outcome in OUTCOMES) == 1
    assert value_of(found, "found_units_total", **own) == 2


def labels_of(sample: Sample) -> dict[str, str]:
    return dict(zip(sample.metric.labels, sample.labels, strict=True))


def test_the_page_lists_every_metric() -> None:
    """With its type, its labels and its meaning: nobody has to guess them."""
    page = (Path(exporter.__file__).parents[1] / "docs" / "watching.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `ivs_export_")]
    made = ((metric, ", ".join(metric.labels)) for metric in METRICS)
    assert rows == [
        f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.meaning} |" for metric, labels in made
    ]
