"""OpenTelemetry: what a collector gets of a real run; and that one which is away, or not wanted, costs nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.emulator import Emulator
from exporter.watching import watch
from exporter.watching.metrics import MetricKind, samples_of
from exporter.watching.otel_variables import wanted_signals
from tests.support.command import command_line, end_of, environment_of
from tests.support.environment import bare_environment
from tests.support.exports import options_of
from tests.support.otlp_receiver import otlp_receiver
from tests.support.summaries import a_partial_run
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}


async def test_a_collector_gets_traces_and_metrics_of_a_run(tmp_path: Path) -> None:
    """One trace: a run, its scope, its calls and checkpoints; and the numbers of the summary."""
    with otlp_receiver() as received:
        collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.url, "OTEL_RESOURCE_ATTRIBUTES": "team=video"}
        async with Emulator(
            options_of(small_world(), faults=("denied operation=ListParticipants first=1",))
        ) as emulator:
            command = command_line("run", "--lake", str(tmp_path), "--json", "--calls-per-second", "900")
            ended = await end_of(command, environment_of(emulator.url, KEYS, collector))
    summary = ended.summary
    assert (ended.code, [line for line in ended.log if line["logger"].startswith("exporter.watching")]) == (3, [])
    assert {key: received.resource[key] for key in ("service.name", "service.version", "team")} == {
        "service.name": "ivs-export",
        "service.version": summary["version"],
        "team": "video",
    }
    _check_spans(received.spans, summary)
    samples = {
        (sample.metric.name, frozenset(zip(sample.metric.labels, sample.labels, strict=True))): sample.value
        for sample in samples_of(summary)
    }
    assert received.metrics.keys() == samples.keys()
    differing = {name for (name, labels), value in samples.items() if received.metrics[name, labels] != value}
    assert differing <= {"ivs_export_run_duration_seconds", "ivs_export_run_ended_timestamp_seconds"}  # it was to end
    for metric in {sample.metric for sample in samples_of(summary)}:
        assert received.is_monotonic[metric.name] is (metric.kind is MetricKind.COUNTER)


def _check_spans(spans: list[Any], summary: dict[str, Any]) -> None:
    by_id = {span.span_id: span for span in spans}
    assert len({span.trace_id for span in spans}) == 1
    parents = Counter((span.name, by_id[span.parent_span_id].name if span.parent_span_id else None) for span in spans)
    calls = parents.pop(("call", "scope"))
    assert calls == sum(summary["calls"].values())
    assert parents.pop(("checkpoint", "scope")) >= 1
    assert parents == {("run", None): 1, ("scope", "run"): 1}
    operations = Counter(_attributes(span)["ivs_export.operation"] for span in spans if span.name == "call")
    assert operations == summary["calls"]
    failed = [_attributes(span)["error.type"] for span in spans if span.status.code == 2]
    assert failed == ["refused"]


def _attributes(span: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


def run_with(export: Any, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """The command with its export replaced: its code, and the lines of its log that warn."""
    code = main(["run", "--region", "eu-west-1", "--json"], export)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == code
    lines = [json.loads(line) for line in captured.err.splitlines()]
    return code, [line for line in lines if line["level"] != "info" and line["event"] != "failure"]


async def partial(_settings: Settings, _request: Request, ledger: RunLedger, _stop: Stop) -> None:
    ledger.scopes = a_partial_run().scopes


def test_a_collector_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ends as it would, after a bounded wait, and its log has one line, that of no library beside."""
    monkeypatch.setattr(watch, "COLLECTOR_TIMEOUT_S", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.4")
    with socket.create_server(("127.0.0.1", 0)) as server:  # which takes connections, and never answers
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        code, warnings = run_with(partial, capsys)
    assert (code, [warning["reason"] for warning in warnings]) == (3, ["no answer in 0.2 s"])


def test_a_collector_that_refuses_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However much of what was sent it does not take."""
    with otlp_receiver(status=400) as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
        code, [warning] = run_with(partial, capsys)
    assert code == 3
    assert (warning["event"], warning["reason"]) == (
        "OpenTelemetry's collector did not take everything",
        "2 of its messages",
    )


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL asks for another protocol"),
        ({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_TRACES_EXPORTER": "none"}, "OTEL_METRICS_EXPORTER asks for"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "a variable of its own is wrong"),
    ],
)
def test_variables_that_cannot_be_followed_are_a_warning(
    variables: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever set them is told, and the run goes on without."""
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **variables}.items():
        monkeypatch.setenv(name, value)
    code, [warning] = run_with(partial, capsys)
    assert code == 3
    assert warning["event"] == "OpenTelemetry is not used"
    assert warning["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ""),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, "metrics traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, "metrics"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, "traces"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
            },
            "metrics",
        ),
    ],
)
def test_what_is_sent_is_what_the_variables_ask_for(variables: dict[str, str], names: str) -> None:
    """As OpenTelemetry's specification has it; but nothing goes to a collector that nobody has named."""
    assert sorted(wanted_signals(variables).names) == names.split()


_WITHOUT = """
import sys
from exporter.cli.app import main

async def export(*_):
    pass

assert main(["run", "--region", "eu-west-1", "--metrics-file", sys.argv[1]], export) == 0
sys.exit(", ".join(name for name in sys.modules if name.split(".")[0] in {"opentelemetry", "google", "requests"}))
"""


def test_nothing_of_it_is_imported_where_it_is_not_wanted(tmp_path: Path) -> None:
    """Who has no collector pays nothing for it: neither time nor memory."""
    command = [sys.executable, "-c", _WITHOUT, str(tmp_path / "x.prom")]
    ended = subprocess.run(command, env=bare_environment(), capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == "", ended.stderr


_MISSING = """
import sys
sys.modules["opentelemetry"] = None
from exporter.cli.app import main

async def export(*_):
    pass

sys.exit(main(["run", "--region", "eu-west-1"], export))
"""


def test_a_missing_extra_is_a_warning_that_names_it() -> None:
    """Who asks for it and has not installed it is told what to install; the run goes on."""
    environment = bare_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    command = [sys.executable, "-c", _MISSING]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "pip install 'ivs-export[otel]'" in ended.stderr
