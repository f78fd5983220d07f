from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pyarrow.dataset as ds
import pytest

import exporter
from tests.support.command import until
from tests.support.environment import bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.emulator.threaded import EmulatorThread


def flaws(value: Any, kind: Any, name: str) -> Iterator[str]:
    """Where a value is not what its type says: a typed dictionary has all its members and no others."""
    inner = get_args(kind)
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        if set(value) != set(hints):
            yield f"{name}: {set(value) ^ set(hints)}"
        for member in set(hints) & set(value):
            yield from flaws(value[member], hints[member], f"{name}.{member}")
    elif get_origin(kind) is list and isinstance(value, list):
        for each in value:
            yield from flaws(each, inner[0], name)
    elif value not in inner if get_origin(kind) is Literal else type(value) not in plain_types(kind):
        yield f"{name}: {value!r} is no {kind}"


def plain_types(kind: Any) -> list[Any]:
    """The classes that a value of a type may have; of a union more than one."""
    kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    return [get_origin(each) or each for each in kinds]


def event_ids(lake: Path | str) -> list[int]:
    column: list[int] = ds.dataset(f"{lake}/events", partitioning="hive").to_table(["event_id"])[0].to_pylist()
    return sorted(column)


def test_it_gives_the_object_that_json_prints(
    emulator: EmulatorThread, settings: dict[str, Any], tmp_path: Path
) -> None:
    """All that the API shows is in the lake, the object is as its type says, and the next call has nothing to do."""
    watched = {**settings, "telemetry": {"metrics_file": str(tmp_path / "export.prom")}}
    first = exporter.export(watched, exporter.Request(tag="a night"))
    second = exporter.export(exporter.Settings(**settings))
    assert not [*flaws(first, exporter.RunSummary, "summary")]
    assert (first["outcome"], first["exit_code"], first["more_to_do"]) == ("complete", 0, False)
    assert (first["tag"], first["lake"]) == ("a night", settings["lake"])
    assert first["events"]["written"] == len(emulator.truth()) == len(event_ids(settings["lake"])) > 100
    assert (second["outcome"], second["events"]["written"]) == ("nothing", 0)
    assert "ivs_export_" in (tmp_path / "export.prom").read_text()


def test_two_at_once_in_one_process(emulator: EmulatorThread, settings: dict[str, Any], tmp_path: Path) -> None:
    """Two threads export into two lakes at once, and each lake holds everything once."""
    lakes = [str(tmp_path / name) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(exporter.export, [{**settings, "lake": lake} for lake in lakes]))
    assert [each["outcome"] for each in found] == ["complete", "complete"]
    one, two = map(event_ids, lakes)
    assert one == two
    assert len(set(one)) == len(emulator.truth())


def test_a_lake_that_another_thread_exports_to(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """The second finds all scopes held, which is a summary and no error; the first goes on."""
    emulator.ask(lambda served: served.calls.reset())
    emulator.set_faults("silence operation=ListParticipants first=1")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(exporter.export, {**settings, "http": {"read_timeout_s": 1.0}})
        asyncio.run(until(lambda: "ListParticipants" in emulator.calls()))
        second = exporter.export(settings)
    assert (second["exit_code"], second["more_to_do"]) == (4, True)
    assert first.result()["outcome"] == "complete"


async def test_where_an_event_loop_runs_already(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """In a notebook or a deferrable task the caller's loop waits, or goes on where the call is in another thread."""
    assert exporter.export(settings)["outcome"] == "complete"
    assert (await asyncio.to_thread(exporter.export, settings))["outcome"] == "nothing"
    assert emulator.calls()["ListStages"] >= 2


def test_the_process_is_left_as_it_was(
    emulator: EmulatorThread,
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No handler, level, limit, variable or setting of the interpreter changes, and none of ivs-export's is read."""
    monkeypatch.setenv("IVS_EXPORT_LAKE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("IVS_EXPORT_MISSPELT", "x")

    def seen() -> list[Any]:
        root, own = logging.getLogger(), logging.getLogger("exporter")
        return [
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)],
            [*root.handlers, root.level, *own.handlers, own.level],
            [gc.get_threshold(), gc.get_freeze_count(), sys.getswitchinterval()],
            resource.getrlimit(resource.RLIMIT_NOFILE),
            dict(os.environ),
        ]

    before = seen()
    with caplog.at_level("INFO", "exporter.library.export"):
        before_levels = seen()
        assert exporter.export(settings)["outcome"] == "complete"
        assert seen() == before_levels
    assert seen() == before
    assert not (tmp_path / "elsewhere").exists()
    assert [record.message for record in caplog.records] == ["run began", "run ended"]
    assert emulator.url


def test_a_partial_run_gives_its_summary(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """What failed alone is in the summary, and raises nothing."""
    emulator.set_faults("denied operation=ListParticipantEvents units=1/3")
    summary = exporter.export(settings)
    assert (summary["outcome"], summary["exit_code"], summary["more_to_do"]) == ("partial", 3, True)
    assert summary["units"]["failed"] > 0
    assert not [*flaws(summary, exporter.RunSummary, "summary")]


def test_a_deadline_leaves_more_to_do(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """The time is over while a call is unanswered: nothing raises, and another run goes on."""
    emulator.set_faults("silence operation=ListParticipants")
    summary = exporter.export({**settings, "run": {"deadline_s": 0.3}})
    assert (summary["stopped_by"], summary["more_to_do"], summary["exit_code"]) == ("deadline", True, 3)
    emulator.set_faults()
    assert exporter.export(settings)["more_to_do"] is False


def test_a_run_that_fails_as_a_whole_raises(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """Where every scope fails, and where the lake can't be used, the error has the kind, the cause and the summary."""
    emulator.set_faults("denied operation=ListStages")
    with pytest.raises(exporter.RunFailed, match="every scope failed; us-east-1: ListStages") as refused:
        exporter.export(settings)
    assert (refused.value.kind, refused.value.summary["exit_code"]) == ("refused", 1)
    emulator.set_faults()
    with pytest.raises(exporter.RunFailed, match="/dev/null") as lost:
        exporter.export({**settings, "lake": "/dev/null/lake"})
    assert isinstance(lost.value.__cause__, exporter.ExportError)
    assert not [*flaws(lost.value.summary, exporter.RunSummary, "summary")]
    again = pickle.loads(pickle.dumps(lost.value))  # noqa: S301 - its own
    assert (str(again), again.kind, again.summary) == (str(lost.value), lost.value.kind, lost.value.summary)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as Python has it, whatever a command in this process has left it as."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_commits_what_was_fetched(emulator: EmulatorThread, settings: dict[str, Any]) -> None:
    """Ctrl-C in the waiting thread lets the run end gracefully, and is then raised; the next run goes on.

    Three calls at most are in flight, two of which are never answered. So once all seven are made, some were read.
    """
    emulator.set_faults("silence operation=ListParticipantEvents units=1/5")
    few = {**settings, "run": {"concurrency": 3}}
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        asyncio.run(until(lambda: emulator.calls().get("ListParticipantEvents", 0) == 7))
        signal.pthread_kill(main, signal.SIGINT)

    emulator.ask(lambda served: served.calls.reset())
    watching = threading.Thread(target=interrupt)
    watching.start()
    with pytest.raises(KeyboardInterrupt):
        exporter.export(few)
    watching.join()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ivs-export ")]
    written = len(event_ids(settings["lake"]))
    emulator.set_faults()
    rest = exporter.export(settings)
    assert 0 < written < len(emulator.truth()) == written + rest["events"]["written"]


NOTHING_IMPORTED = """\
import sys
import exporter
heavy = {"aiohttp", "asyncio", "botocore", "msgspec", "pyarrow", "pydantic"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import exporter.library.export
import ssl
import aiohttp.connector
own = ssl.create_default_context().cert_store_stats()
assert aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats() == own
"""


def test_importing_it_is_cheap_and_takes_nothing_away() -> None:
    """``import exporter`` brings nothing heavy, and the process's own aiohttp keeps the system's certificates."""
    subprocess.run([sys.executable, "-c", NOTHING_IMPORTED], check=True, env=bare_environment())
