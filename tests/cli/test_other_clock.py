"""A clock for the exporter instead of this machine's: where it counts, and where it is refused."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.cli.other_clock import VARIABLE
from exporter.emulator import (
    ClockOptions,
    Emulator,
    EmulatorOptions,
    QuotaOptions,
    ServiceOptions,
    WorldOptions,
    WorldShape,
    WorldTimes,
)
from exporter.machine.loopback import is_loopback
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A clock that is followed is asked for at any moment, also while its emulator, in a thread here, goes away.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
#: Noon of 2031-03-05: far from any day on which this runs.
NOW_US = 1_930_478_400_000_000
WORLD = WorldOptions(shape=WorldShape(3), times=WorldTimes(NOW_US - 86_400_000_000, days=0.5), active_share=0.0)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An emulator in a thread of its own, whose clock stands at another time."""
    ready, ended = threading.Event(), asyncio.Event()
    found: list[Any] = []
    plenty = QuotaOptions(calls_per_second=1e6, burst=10**6)
    options = EmulatorOptions(
        WORLD, service=ServiceOptions(plenty), clock=ClockOptions(is_frozen=True, start_us=NOW_US)
    )

    async def serve() -> None:
        async with Emulator(options) as emulator:
            found.extend([emulator, asyncio.get_running_loop()])
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", found[0].url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("IVS_EXPORT_QUOTA__CALLS_PER_SECOND", "5000")
    yield found[0]
    found[1].call_soon_threadsafe(ended.set)
    thread.join(20)


def run(lake: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any], str]:
    code = main(["run", "--lake", lake, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


@pytest.mark.parametrize("way", ["followed", "started"])
def test_the_emulators_time_is_the_exporters(
    way: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A world of another year is exported whole and sealed; without that clock, its dates do not count."""
    monkeypatch.setenv(VARIABLE, emulator.url if way == "followed" else text_of(NOW_US))
    code, printed, log = run(str(tmp_path / "lake"), capsys)
    assert (code, printed["outcome"]) == (0, "complete")
    assert printed["sessions"]["sealed"] == printed["sessions"]["found"] > 0
    assert printed["scopes"][0]["complete_until"].startswith("2031-03-05T12:0")
    assert "does not count" not in log
    for command in (
        ["verify"],
        ["repair", "--dry-run"],
        ["status"],
        ["verify", "--accept-missing", "event_date=2020-01-01"],
    ):
        assert main([*command, "--lake", str(tmp_path / "lake")]) == 0, command
    capsys.readouterr()
    monkeypatch.delenv(VARIABLE)
    code, printed, log = run(str(tmp_path / "other"), capsys)
    assert printed["sessions"]["sealed"] == 0
    assert log.count("an answer's Date does not count") == 1


@pytest.mark.parametrize(
    ("clock", "environment", "lake", "said"),
    [
        ("2031-03-05T12:00Z", {"AWS_ENDPOINT_URL_IVS_REALTIME": ""}, "lake", "ivsrealtime.us-east-1.amazonaws.com"),
        ("2031-03-05T12:00Z", {}, "s3://some-bucket/lake", "amazonaws.com is no loopback address"),
        (
            "2031-03-05T12:00Z",
            {
                "IVS_EXPORT_CATALOG__KIND": "rest",
                "IVS_EXPORT_CATALOG__PROPERTIES": '{"uri": "https://catalog.example.com"}',
            },
            "lake",
            "catalog.example.com is no loopback address",
        ),
        (
            "2031-03-05T12:00Z",
            {"IVS_EXPORT_CATALOG__KIND": "glue"},
            "lake",
            "glue.us-east-1.amazonaws.com is no loopback",
        ),
        (
            "2031-03-05T12:00Z",
            {
                "IVS_EXPORT_CATALOG__KIND": "sql",
                "IVS_EXPORT_CATALOG__PROPERTIES": '{"uri": "postgresql://ivs:a-password@db.example.com/ivs"}',
            },
            "lake",
            "db.example.com is no loopback address",
        ),
        (
            "2031-03-05T12:00Z",
            {"IVS_EXPORT_NOTIFY__WEBHOOK": "https://hooks.example.com/T0/secret"},
            "lake",
            "hooks.example.com is no loopback address",
        ),
        (
            "2031-03-05T12:00Z",
            {"IVS_EXPORT_NOTIFY__SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:nights"},
            "lake",
            "sns.us-east-1.amazonaws.com is no loopback address",
        ),
        ("http://192.0.2.1:8000", {}, "lake", "192.0.2.1 is no loopback address"),
        ("noon", {}, "lake", "neither an ISO time nor the URL"),
        ("http://127.0.0.1:9", {}, "lake", "no emulator shows its time at 127.0.0.1"),
    ],
)
def test_it_is_refused_beside_what_is_real(  # noqa: PLR0917 - pytest passes them by name
    clock: str,
    environment: dict[str, str],
    lake: str,
    said: str,
    emulator: Emulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an endpoint that is not on this machine, or without a clock that can be read, nothing is started."""
    monkeypatch.setenv(VARIABLE, clock)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv(name)
    code, printed, _ = run(lake if lake.startswith("s3") else str(tmp_path / lake), capsys)
    assert code == 2
    assert said in printed["failures"][0]["message"]
    assert VARIABLE in printed["failures"][0]["message"]
    assert not emulator.calls.granted
    assert not list(tmp_path.iterdir())


def test_what_speaks_no_http_shows_no_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port of another program's, as of SSH, is a wrong URL and no bug."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_greet, args=(server,))
        answering.start()
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        code, printed, _ = run(str(tmp_path / "lake"), capsys)
        answering.join(20)
    assert (code, printed["failures"][0]["error"]) == (2, "usage")
    assert "no emulator shows its time at 127.0.0.1" in printed["failures"][0]["message"]


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        ("http://127.0.0.1:8000", True),
        ("https://127.8.8.8/x", True),
        ("http://[::1]:80", True),
        ("http://localhost:80", True),
        ("http://lake.localhost:80", True),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com/", False),
        ("http://0.0.0.0:80", False),
        ("ftp://127.0.0.1", False),
        ("http://[::1", False),
        ("127.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, is_so: bool) -> None:
    """Names and addresses of this machine are; what merely looks like one is not."""
    assert is_loopback(url) is is_so
