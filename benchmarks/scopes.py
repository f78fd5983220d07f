"""Many accounts in one process, or in two: how much of each scope's quota is used, and what 25 to 200 scopes cost.

The real command assumes a role in each account and exports all of their regions at once, at AWS's own 5 calls a second
in each scope. Beside it, in a process of its own, the real emulator checks signatures and quotas and gives the roles;
its record of the calls is what is measured. Each scope has the same units of ten full pages each, made
once at the start (``--server canned``) or, at more than the client's own cost, as they are asked for (``--server
seeded``).

    .venv/bin/python -m benchmarks.scopes                            some seven minutes
    .venv/bin/python -m benchmarks.scopes --quick                    does it run at all?
    .venv/bin/python -m benchmarks.scopes --server seeded 50 200     these numbers of scopes
    .venv/bin/python -m benchmarks.scopes --processes 2 200          so many, half of the accounts in each process

A share counts from a scope's first call for events to its last, so it also has the times in which other scopes began or
committed, and those of the least burst: the quota gives five calls at once, a run takes two. It is of calls alone; what
was fetched and not yet written shows in the pages a second of the whole run, start and end included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.command import Measured, emulator, run
from benchmarks.figures import Figure, show
from exporter.emulator import Account, Emulator, EmulatorOptions, FixedWorld, Size, WorldOptions, WorldShape
from exporter.emulator.world.seeded_world import SeededWorld
from exporter.model import REGIONS, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.emulator.world.world import Listing

_ROOT = Path(__file__).resolve().parent.parent
#: Numbers of scopes, and of the processes that share their accounts.
_SERIES = ((25, 1), (100, 1), (200, 1), (200, 2))
_SERIES_QUICK = ((7, 1),)
_SERVERS = ("canned", "seeded")
_SHARE_MIN = 0.97
_FEW_AND_MANY = (7, 203)
_FEW_AND_MANY_QUICK = (1, 7)
_SCOPE_MIB_MAX = 0.5
_CALL = "ListParticipantEvents"
_QUOTA = 5.0
_PAGES_A_UNIT = 10
_PAGE_EVENTS = 100
_SECONDS, _SECONDS_QUICK = 60.0, 4.0
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Served:
    """What the server saw and spent: the calls for events by scope, and the processor's seconds since it was ready."""

    buckets: list[dict[str, Any]]
    cpu_s: float

    @property
    def shares(self) -> list[float]:
        """Of each scope: the share of its quota, from its first call for events to its last."""
        return sorted(float(bucket["granted"] / bucket["slots"]) for bucket in self.buckets)

    @property
    def calling_s(self) -> float:
        """From the first call for events to the last of all scopes."""
        first_s = min(bucket["first_s"] for bucket in self.buckets)
        last_s = max(bucket["last_s"] for bucket in self.buckets)
        return float(last_s - first_s)

    @property
    def pages(self) -> int:
        """All pages of events."""
        return sum(bucket["granted"] for bucket in self.buckets)

    @property
    def throttled(self) -> int:
        """The calls for events that met the quota."""
        return sum(bucket["throttled"] for bucket in self.buckets)


class Server:
    """The emulator in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._process = process
        self._began_s = self._cpu_s()

    def served(self) -> Served:
        """What it has done until now."""
        with urllib.request.urlopen(f"{self.url}/_emulator/quota") as answer:  # noqa: S310 - our own emulator
            buckets = json.load(answer)["buckets"]
        return Served([each for each in buckets if each["operation"] == _CALL], self._cpu_s() - self._began_s)

    def _cpu_s(self) -> float:
        """The processor's seconds of the process until now. Source: proc_pid_stat(5)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(
    *, quick: bool, series: Iterable[tuple[int, int]] = (), kind: str = "canned", seconds: float | None = None
) -> Iterator[Figure]:
    """Of each number of scopes: shares of their quotas, pages a second, what each side costs; then memory.

    In so short a time as a quick one, bursts are most of a share, so there is no verdict.
    """
    seconds = seconds or (_SECONDS_QUICK if quick else _SECONDS)
    units = max(1, round(seconds * _QUOTA / _PAGES_A_UNIT))
    for count, processes in tuple(series) or (_SERIES_QUICK if quick else _SERIES):
        with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
            runs, served = measure(count, processes, kind, units, Path(folder))
        for figure in _figures_of(count, runs, served):
            yield replace(figure, is_met=None) if quick else figure
    yield from _memory(*(_FEW_AND_MANY_QUICK if quick else _FEW_AND_MANY))


def _memory(few: int, many: int) -> Iterator[Figure]:
    """What one more scope takes, where there is next to nothing to export."""
    peaks_mib = []
    for count in (few, many):
        accounts = list(dict.fromkeys(scope.account_id for scope in scopes_of(count)))
        tiny = {"stages": 1, "sessions": 1, "participants": 1, "events": 2, "active-share": 0.0}
        with (
            tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder,
            emulator({"account": accounts, "region": list(REGIONS), **tiny}) as url,
        ):
            peaks_mib.append(_run(scopes_of(count), url, Path(folder)).peak_mib)
        yield Figure(f"peak of memory, {count} scopes with one unit each", f"{peaks_mib[-1]:,.0f} MiB")
    each_mib = (peaks_mib[1] - peaks_mib[0]) / (many - few)
    is_met = each_mib <= _SCOPE_MIB_MAX
    yield Figure("memory of one more scope", f"{each_mib:.2f} MiB", f"at most {_SCOPE_MIB_MAX} MiB", is_met)


def measure(count: int, processes: int, kind: str, units: int, folder: Path) -> tuple[list[Measured], Served]:
    """Export so many scopes, each of so many units, into one lake; each process has some of the accounts."""
    scopes = scopes_of(count)
    accounts = list(dict.fromkeys(each.account_id for each in scopes))
    parts = [[each for each in scopes if each.account_id in accounts[part::processes]] for part in range(processes)]
    with server(count, kind, units) as serving, ThreadPoolExecutor(processes) as pool:
        runs = list(pool.map(lambda part: _run(part, serving.url, folder), parts))
        served = serving.served()
    written = sum(each.summary["events"]["written"] for each in runs)
    if len(served.buckets) != count or written != count * units * _PAGES_A_UNIT * _PAGE_EVENTS:
        raise RuntimeError(f"of {count} scopes {len(served.buckets)} were exported, with {written} events")
    return runs, served


def _run(scopes: list[Scope], url: str, folder: Path) -> Measured:
    config = folder / f"accounts-{scopes[0].account_id}.toml"
    config.write_text("".join(_table(account, scopes) for account in dict.fromkeys(each.account_id for each in scopes)))
    return run(url, folder / "lake", "--config", str(config), environment={"AWS_ENDPOINT_URL_STS": url})


def scopes_of(count: int) -> list[Scope]:
    """So many scopes: all regions of one account after the other."""
    return [Scope(f"{place // len(REGIONS) + 1:012d}", REGIONS[place % len(REGIONS)]) for place in range(count)]


def _table(account: str, scopes: list[Scope]) -> str:
    regions = [scope.region for scope in scopes if scope.account_id == account]
    return f'[[accounts]]\nrole_arn = "arn:aws:iam::{account}:role/ivs-export"\nregions = {json.dumps(regions)}\n'


def _figures_of(count: int, runs: list[Measured], served: Served) -> Iterator[Figure]:
    name = f"{count} scopes" + (f" in {len(runs)} processes" if len(runs) > 1 else "")
    median, worst = statistics.median(served.shares), served.shares[0]
    run_s = max(each.summary["seconds"] for each in runs)
    client, beside = sum(each.cpu_s for each in runs) / run_s, served.cpu_s / run_s
    files, peak_mib = sum(each.summary["files"] for each in runs), max(each.peak_mib for each in runs)
    binds = f"the client took {client:.2f} of a processor, the emulator {beside:.2f}, of {os.cpu_count()} in all"
    for which, share in (("median", median), ("worst", worst)):
        is_met = share >= _SHARE_MIN
        note = "" if is_met else binds
        yield Figure(
            f"share of the quota, {which} of {name}", f"{share:.1%}", f"at least {_SHARE_MIN:.0%}", is_met, note
        )
    pages = served.pages / served.calling_s
    yield Figure(f"pages a second, {name}", f"{pages:,.0f}", f"the quota allows {count * _QUOTA:,.0f}")
    yield Figure(f"events a second, {name}", f"{pages * _PAGE_EVENTS:,.0f}")
    note = "start and last commit included; where it is far below the calls' own, they ran ahead of what was written"
    yield Figure(f"pages a second of the whole run, {name}", f"{served.pages / run_s:,.0f}", note=note)
    yield Figure(f"client's processor, {name}", f"{client:.2f} of one", note=f"{files:,} files")
    yield Figure(f"emulator's processor, {name}", f"{beside:.2f} of one", note=f"{served.throttled:,} calls throttled")
    yield Figure(f"client's peak of memory, {name}", f"{peak_mib:,.0f} MiB")


@contextmanager
def server(count: int, kind: str, units: int) -> Iterator[Server]:
    """The emulator with so many units in each scope, ready."""
    words = ("--serve", "--server", kind, "--units", str(units), str(count))
    process = subprocess.Popen(  # noqa: S603 - our own
        (sys.executable, "-m", "benchmarks.scopes", *words), cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None, "it is a pipe"  # noqa: S101 - for the type checker
        yield Server(process, process.stdout.readline().strip())
    finally:
        process.terminate()
        process.communicate()


async def _serve(count: int, kind: str, units: int) -> None:
    scopes, stopped = scopes_of(count), asyncio.Event()
    accounts = dict.fromkeys(scope.account_id for scope in scopes)
    options = EmulatorOptions(
        world=_world(units),
        accounts=tuple(
            Account(account_id=each) if not place else Account(each, each, each) for place, each in enumerate(accounts)
        ),
        regions=REGIONS,
    )
    worlds = _canned(scopes, units) if kind == "canned" else {}
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Emulator(options, worlds) as emulator:
        sys.stdout.write(f"{emulator.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def _world(units: int) -> WorldOptions:
    return WorldOptions(
        shape=WorldShape(1, Size.fixed(1), Size.fixed(units), events=Size.fixed(_PAGES_A_UNIT * _PAGE_EVENTS)),
        active_share=0.0,
        replicated_share=0.0,
    )


def _canned(scopes: list[Scope], units: int) -> dict[tuple[str, str], FixedWorld]:
    """The same session for every scope, each of their events made once and kept as the bytes to send."""
    now_us = time.time_ns() // 1_000 // 1_000_000 * 1_000_000
    options = _world(units)
    made = SeededWorld(options, scopes[0], now_us - int(options.times.days * _DAY_US))
    [stage] = _shown(made.stages(now_us))
    arn = stage["arn"]
    kept = [
        {**session, "participants": _participants(made, arn, session["sessionId"], now_us)}
        for session in _shown(made.sessions(arn, now_us))
    ]
    name = arn.rpartition("/")[2]
    return {
        (scope.account_id, scope.region): FixedWorld(
            [{**stage, "arn": f"arn:aws:ivs:{scope.region}:{scope.account_id}:stage/{name}", "sessions": kept}]
        )
        for scope in scopes
    }


def _participants(made: SeededWorld, arn: str, session_id: str, now_us: int) -> list[dict[str, Any]]:
    kept = []
    for participant in _shown(made.participants(arn, session_id, now_us)):
        events = made.events(arn, session_id, participant["participantId"], now_us)
        kept.append({**participant, "events": [msgspec.json.encode(each) for each in _shown(events)]})
    return kept


def _shown(listing: Listing) -> list[dict[str, Any]]:
    return [item for item in listing.items(0, listing.count) if isinstance(item, dict)]


def main() -> None:
    """Measure, or serve what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scopes", nargs="*", type=int, help=f"how many scopes, each in turn ({_SERIES})")
    parser.add_argument("--quick", action="store_true", help="few scopes for a short time")
    parser.add_argument("--server", choices=_SERVERS, default="canned", help="how the emulator makes its pages")
    parser.add_argument("--seconds", type=float, help=f"how long at the quota ({_SECONDS:g})")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=1, help="among how many the accounts are shared (1)")
    parser.add_argument("--units", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.scopes[0], given.server, given.units))
    else:
        show(
            figures(
                quick=given.quick,
                series=[(each, given.processes) for each in given.scopes],
                kind=given.server,
                seconds=given.seconds,
            )
        )


if __name__ == "__main__":
    main()
