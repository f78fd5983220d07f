"""The examples in ``config/`` that call the exporter from Python, run as their hosts run them."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import exporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.emulator.threaded import EmulatorThread

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in ``config/`` is shipped, so nothing is left beside it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def loaded(path: str) -> Any:
    """A file as a module, as hosts load it: by its path."""
    spec = spec_from_file_location(Path(path).stem, CONFIG / path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class LambdaContext:
    aws_request_id = "0b1c"

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left_s * 1000)


def test_a_lambda_goes_on_until_all_is_done(
    emulator: EmulatorThread, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invocation whose time is over commits and asks for another one; the last says that all is done."""
    monkeypatch.setenv("LAKE", settings["lake"])
    monkeypatch.setenv("REGIONS", "us-east-1")
    handler = loaded("lambda/handler.py").handler
    emulator.set_faults("silence operation=ListParticipants")
    first = handler({"tag": "a night"}, LambdaContext(left_s=31.0))
    assert (first["go_on"], first["exit_code"], first["tag"]) == (True, 3, "a night")
    emulator.set_faults()
    monkeypatch.setattr(exporter, "export", fast(exporter.export))
    last = handler({}, LambdaContext(left_s=900.0))
    assert (last["go_on"], last["exit_code"], last["tag"]) == (False, 0, "0b1c")
    assert last["events"]["written"] == len(emulator.truth())
    json.dumps(last)


def fast(export: Callable[..., Any]) -> Callable[..., Any]:
    """An export at a pace that is no hindrance, whatever its settings say."""
    return lambda settings, request: export({**settings, "quota": {"calls_per_second": 5_000.0}}, request)


def test_the_state_machine_fits_the_handler() -> None:
    """Each of its states leads to one that there is, and it looks at what the handler answers."""
    machine = json.loads((CONFIG / "lambda/state-machine.json").read_text())
    states = machine["States"]
    choice = states["More to do?"]
    next_ones = [machine["StartAt"], states["Export"]["Next"], choice["Default"]]
    assert {*next_ones, *(each["Next"] for each in choice["Choices"])} == set(states)
    assert [each["Variable"] for each in choice["Choices"]] == ["$.go_on", "$.exit_code"]


class AirflowDouble:
    """What the DAG takes of Airflow: it notes the arguments, and runs nothing (docs/python.md has how it was tried)."""

    def __init__(self) -> None:
        self.dags: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {}

    def dag(self, **arguments: Any) -> Any:
        def decorate(function: Callable[[], None]) -> Callable[[], None]:
            def called() -> None:
                self.dags[function.__name__] = arguments
                function()

            return called

        return decorate

    def task(self, **arguments: Any) -> Any:
        def decorate(function: Callable[..., Any]) -> Callable[[], None]:
            return lambda: self.tasks.update({function.__name__: (arguments, function)})

        return decorate


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowDouble:
    double = AirflowDouble()
    sdk, exceptions = ModuleType("airflow.sdk"), ModuleType("airflow.sdk.exceptions")
    vars(sdk).update(dag=double.dag, task=double.task)
    failed = type("AirflowException", (Exception,), {})
    vars(exceptions).update(AirflowException=failed, AirflowFailException=type("AirflowFailException", (failed,), {}))
    for module in (ModuleType("airflow"), sdk, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return double


def test_the_dag_exports_and_is_tried_again(
    airflow: AirflowDouble, emulator: EmulatorThread, settings: dict[str, Any]
) -> None:
    """Its one task returns what a scheduler can keep, fails for another try, and for good where none would help."""
    module = loaded("airflow/ivs_export_dag.py")
    [(arguments, export)] = airflow.tasks.values()
    assert airflow.dags["ivs_export"]["catchup"] is False
    assert arguments["execution_timeout"].total_seconds() > module.SETTINGS["run"]["deadline_s"]
    assert signature(export).parameters["run_id"].default is None  # Airflow's own rule for what it passes by name
    assert set(module.SETTINGS) == {"lake", "regions", "run"}

    module.SETTINGS |= {**settings, "regions": ["us-east-1"]}
    emulator.set_faults("denied operation=ListParticipantEvents units=1/3")
    with pytest.raises(module.AirflowException, match=r"partial, and more is to do: .*AccessDenied.* \(\d+\)"):
        export("scheduled__2026-11-23")
    emulator.set_faults()
    assert json.loads(json.dumps(export("scheduled__2026-11-23")))["outcome"] == "complete"
    module.SETTINGS["regions"] = ["nowhere"]
    with pytest.raises(module.AirflowFailException, match="regions"):
        export()
