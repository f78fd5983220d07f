"""The real command on a real Dask cluster of this machine, whose workers are killed while they work."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Account, Emulator, RoleOptions, Size
from tests.support.cluster import ACCOUNTS, EXTERNAL_ID, PLACES
from tests.support.command import command_line, end_of, environment_of, started, until
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
#: Fifteen units in each scope, more than a second at its pace.
WORLD = small_world(
    6, stages=1, sessions=Size.fixed(1), participants=Size.fixed(15), events=Size.fixed(6), active_share=0.0
)


def emulator(**changes: Any) -> Emulator:
    accounts = [Account(each, each, each) for each in ACCOUNTS[1:]]
    return Emulator(
        options_of(
            WORLD,
            accounts=(Account(account_id=ACCOUNTS[0]), *accounts),
            regions=PLACES,
            roles=RoleOptions(external_id=EXTERNAL_ID),
            **changes,
        )
    )


def environment(service: Emulator) -> dict[str, str]:
    return environment_of(service.url, KEYS, {"AWS_ENDPOINT_URL_STS": service.url})


class Workers:
    """The exporters at work in a lake, by its leases, and the workers that have started them."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self.lost: list[int] = []

    def lose_one(self, *, also_its_exporter: bool) -> bool:
        """Kill a worker whose exporter has committed events and is not through; False where there is none right now."""
        for lease, pid in self._leases():
            scope = lease.parts[-3]
            worker = _parent(pid)
            if worker is None or pid in self.lost or not any(self._lake.glob(f"events/*/{scope}-*.parquet")):
                continue
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                if is_held := lease.exists():  # it was stopped in mid-scope
                    os.kill(worker, signal.SIGKILL)
                    self.lost.append(pid)
                os.kill(pid, signal.SIGKILL if is_held and also_its_exporter else signal.SIGCONT)
                if is_held:
                    return True
        return False

    def _leases(self) -> Iterator[tuple[Path, int]]:
        for lease in self._lake.glob("_log/*/lease/*.json"):
            with suppress(OSError, ValueError):  # it was renewed or released just now
                yield lease, json.loads(lease.read_text())["process"]["pid"]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@pytest.mark.slow
async def test_workers_are_killed_in_mid_scope(config: Path, tmp_path: Path) -> None:
    """One with its exporter, one without: the lake is exact, and command and log tell the truth of the night."""
    lake = tmp_path / "lake"
    workers = Workers(lake)
    async with emulator() as service:
        command = command_line("run", "--config", str(config), "--dask", "local:2", "--tag", "night 7", "--json")
        with started(command, environment(service), secrets=(EXTERNAL_ID,)) as running:
            for also_its_exporter in (True, False):
                lose = partial(workers.lose_one, also_its_exporter=also_its_exporter)
                await until(lambda: running.is_over or lose())  # noqa: B023 - called now
            ended = await running.end()
        assert len(workers.lost) == 2
        rows = expected(service.truth())
        assert lake_rows(lake) == rows
        status = command_line("status", "--config", str(config), "--tag", "night 7", "--json")
        night = (await end_of(status, environment(service))).summary
    assert (ended.code, ended.failed, ended.summary["outcome"]) == (0, {}, "complete")
    states = [run["state"] for scope in night["scopes"] for run in scope["runs"]]
    assert len(states) >= 14
    assert states.count("cut short") >= 1
    for told in (ended.summary, night):
        assert told["events"]["written"] == told["rows"]["events"] == sum(rows.values())
        assert told["units"]["found"] == 12 * 15
        assert told["units"]["exported"] + told["units"]["unchanged"] == 12 * 15
        assert told["files"] == len(list(lake.rglob("*.parquet")))
        assert {(scope["account_id"], scope["region"]) for scope in told["scopes"]} == {
            (account, place) for account in ACCOUNTS for place in PLACES
        }
    assert night["without_run"] == []


@pytest.mark.slow
async def test_a_command_that_is_stopped(config: Path, tmp_path: Path) -> None:
    """Exporters at work commit what they have, nothing new begins, and the summary says what was not begun."""
    lake = tmp_path / "lake"
    async with emulator() as service:
        command = command_line("run", "--config", str(config), "--dask", "local:1", "--json")
        with started(command, environment(service)) as running:
            await until(lambda: running.is_over or any(lake.glob("events/*/*.parquet")))
            running.process.send_signal(signal.SIGTERM)
            ended = await running.end()
        assert ended.code == 143
        assert (ended.summary["stopped_by"], ended.summary["more_to_do"]) == ("SIGTERM", True)
        assert len(ended.summary["scopes"]) == 12
        assert any(failure["error"] == "deferred" for failure in ended.summary["failures"])
        assert lake_rows(lake) <= expected(service.truth())
        # A run by hand makes up for the rest of what the stopped one had begun; it finds its lease released.
        begun = {path.name for path in (lake / "_log").iterdir() if path.is_dir()}
        assert len(begun) < 12
        assert not list(lake.glob("_log/*/lease/*.json"))
