"""What it costs to bring 1,000 pages of 100 events from HTTP to Parquet files, beside the other ways there are.

The cost is the processor's time, user and system, of the client's process alone; the server is another process, and so
fast that nobody waits for it. All contenders take the same pages of the same units from one server at one concurrency
and leave Parquet files in a directory, whose rows are counted. They run in turns, some rounds long; the figures are
medians. ``whole`` is a process from its start to its end; ``net`` is without what the same contender takes for nothing
(no unit, no stage).

- ``ours``: ``ivs-export run``. It alone finds the units by itself.
- ``floor``: aiohttp, unsigned, msgspec, one file at the end. No ids, no check of what came, no retry, no bound to
  memory, no state, nothing committed.
- ``aioboto3``: aioboto3 and ``pyarrow.Table.from_pylist``. It signs and tries again; no ids, no state, nothing
  committed, and it loses every token: botocore's parser drops what its model lacks.
- ``aioboto3-iso``: the same, told to read times with ``datetime.fromisoformat``.
- ``boto3-threads``: the same as ``aioboto3``, with boto3 in a pool of threads.
- ``dlt``: a dlt pipeline over boto3, to its destination ``filesystem``. It has state and a commit of its own; the
  tokens are lost to botocore.
- ``dlt-rest``: the same over dlt's own REST client, signed. It keeps the tokens.

    .venv/bin/python -m benchmarks.cpu                                     all of it
    .venv/bin/python -m benchmarks.cpu --only ours,floor --rounds 3        two contenders
    .venv/bin/python -m benchmarks.cpu --only ours,floor --worlds long     1,000 pages of 100 units, without TLS
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from benchmarks.figures import Figure, show
from benchmarks.page_server import SHAPES, page_server, units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.page_server import Serving

_ROOT = Path(__file__).resolve().parent.parent
_OURS = "ours"
_FLOOR = "floor"
_EMPTY = "empty"
_PEERS = {
    _FLOOR: ("benchmarks.peers.floor",),
    "aioboto3": ("benchmarks.peers.aioboto3_plain",),
    "aioboto3-iso": ("benchmarks.peers.aioboto3_plain", "--iso"),
    "boto3-threads": ("benchmarks.peers.boto3_threads",),
    "dlt": ("benchmarks.peers.dlt_boto3",),
    "dlt-rest": ("benchmarks.peers.dlt_rest",),
}
CONTENDERS = (_OURS, *_PEERS)
#: How many times our cost each must be, at least.
_LEAST = {"dlt": 20.0, "aioboto3": 14.0}
#: How many times the floor's cost ours may be.
_MOST_OF_FLOOR = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A world of the server's, with TLS or without."""

    world: str
    is_tls: bool

    def __str__(self) -> str:
        shape = SHAPES[self.world]
        return f"{shape.units:,} x {shape.pages} pages, {'TLS' if self.is_tls else 'plain'}"


def figures(
    *,
    quick: bool,
    contenders: Sequence[str] = CONTENDERS,
    worlds: Sequence[str] = ("long", "short"),
    transports: Sequence[bool] = (False, True),
    rounds: int = 5,
) -> Iterator[Figure]:
    """Each contender's seconds in each case, and how many times ours or the floor's they are.

    ``quick`` is one round of one case.
    """
    if quick:
        worlds, transports, rounds = worlds[:1], transports[:1], 1
    for is_tls in transports:
        cases = [Case(world, is_tls) for world in (_EMPTY, *worlds)]
        seconds = _measure(contenders, cases, rounds)
        yield from _start_ups(contenders, cases[0], seconds)
        for case in cases[1:]:
            yield from _compared(contenders, case, seconds)


_Seconds = dict[tuple[str, Case], float]


def _measure(contenders: Sequence[str], cases: Sequence[Case], rounds: int) -> _Seconds:
    """The medians, of rounds in which each contender has its turn at each case."""
    taken: defaultdict[tuple[str, Case], list[float]] = defaultdict(list)
    with page_server() as serving:
        for _ in range(rounds):
            for case in cases:
                for contender in contenders:
                    taken[contender, case].append(_run(contender, case, serving))
    return {key: median(values) for key, values in taken.items()}


def _start_ups(contenders: Sequence[str], empty: Case, seconds: _Seconds) -> Iterator[Figure]:
    for contender in contenders:
        yield Figure(
            f"cpu of nothing, {'TLS' if empty.is_tls else 'plain'}: {contender}", f"{seconds[contender, empty]:.2f} s"
        )


def _compared(contenders: Sequence[str], case: Case, seconds: _Seconds) -> Iterator[Figure]:
    empty = Case(_EMPTY, case.is_tls)
    whole = {contender: seconds[contender, case] for contender in contenders}
    net = {contender: whole[contender] - seconds[contender, empty] for contender in contenders}
    for contender in contenders:
        yield Figure(f"cpu of {case}: {contender}", f"{whole[contender]:.2f} s, net {net[contender]:.2f} s")
    if _OURS not in contenders:
        return
    for contender in contenders:
        if contender == _FLOOR:
            ratios = [cost[_OURS] / cost[_FLOOR] for cost in (whole, net)]
            target = f"at most {_MOST_OF_FLOOR:g}"
            yield _ratio(f"cpu of {case}: ours / floor", ratios, target, is_met=max(ratios) <= _MOST_OF_FLOOR)
        elif contender != _OURS:
            ratios = [cost[contender] / cost[_OURS] for cost in (whole, net)]
            least = _LEAST.get(contender)
            target = "" if least is None else f"at least {least:g}"
            is_met = None if least is None else min(ratios) >= least
            yield _ratio(f"cpu of {case}: {contender} / ours", ratios, target, is_met=is_met)


def _ratio(name: str, ratios: Sequence[float], target: str, *, is_met: bool | None) -> Figure:
    return Figure(name, "{:.1f}, net {:.1f}".format(*ratios), target, is_met)


def _run(contender: str, case: Case, serving: Serving) -> float:
    """The seconds of one run. Raises RuntimeError where it failed or its rows are not as many as there are events."""
    url = f"{serving.tls_url if case.is_tls else serving.plain_url}/{case.world}"
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as home:
        folder = Path(home, "lake")
        if contender == _OURS:
            words = ["exporter", "run", "--lake", str(folder), "--region", "us-east-1", "--json"]
            words += ["--concurrency", "8", "--calls-per-second", "1000000"]
        else:
            listed = Path(home, "units.json")
            listed.write_text(json.dumps(units(case.world)))
            module, *options = _PEERS[contender]
            words = [module, *options, url, str(listed), str(folder)]
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": home,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_ENDPOINT_URL_IVS_REALTIME": url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": str(serving.certificate),
            "REQUESTS_CA_BUNDLE": str(serving.certificate),
        }
        with Path(home, "log").open("w+") as log:
            process = subprocess.Popen(  # noqa: S603 - our own
                (sys.executable, "-m", *words), cwd=_ROOT, env=environment, stdout=log, stderr=log
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            if process.returncode:
                raise RuntimeError(f"{contender} ended with {process.returncode}: {log.read()[-2_000:]}")
        rows = sum(pq.read_metadata(file).num_rows for file in folder.glob("**/events/**/*.parquet"))
    if rows != SHAPES[case.world].events:
        raise RuntimeError(f"{contender} left {rows} rows of {SHAPES[case.world].events} events")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of one case: does it work?")
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, with commas between")
    parser.add_argument("--worlds", default="long,short", help="long, short or both, with a comma between")
    parser.add_argument("--transports", default="plain,tls", help="plain, tls or both, with a comma between")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    show(
        figures(
            quick=given.quick,
            contenders=given.only.split(","),
            worlds=given.worlds.split(","),
            transports=[name == "tls" for name in given.transports.split(",")],
            rounds=given.rounds,
        )
    )


if __name__ == "__main__":
    main()
