"""What it costs to bring 1,000 pages of 100 events from HTTP to Parquet files, beside the other ways there are.

The cost is the processor's time, user and system, of the client's process alone; the server is another process, and so
fast that nobody waits for it. All contenders take the same pages of the same units from one server at one concurrency
and leave Parquet files in a directory, whose rows are counted. They run in turns, some rounds long, and the two that
are short before each of the others; the figures are medians. ``whole`` is a process from its start to its end; ``net``
is without what the same contender takes for nothing (no unit, no stage).

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
    .venv/bin/python -m benchmarks.cpu --worlds long --transports plain    100 units of ten pages, without TLS
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
#: What takes a second or two is measured beside each of the others: a neighbour's load is much of it, once.
_SHORT = (_OURS, _FLOOR)
_BINDS = "of ours, aiohttp is a quarter and normalizing a third: docs/performance.md"
WORLDS = ("long", "short")
TRANSPORTS = ("plain", "tls")
#: How many times our cost each must be, at least.
_LEAST = {"dlt": 20.0, "aioboto3": 14.0}
#: How many times the floor's cost ours may be.
_MOST_OF_FLOOR = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A world of the server's, reached one of two ways."""

    world: str
    transport: str

    def __str__(self) -> str:
        shape = SHAPES[self.world]
        return f"{shape.units:,} x {shape.pages} pages, {self.transport}"


def figures(
    *,
    quick: bool,
    contenders: Sequence[str] = CONTENDERS,
    worlds: Sequence[str] = WORLDS,
    transports: Sequence[str] = TRANSPORTS,
    rounds: int = 3,
) -> Iterator[Figure]:
    """Each contender's seconds in each case, and how many times ours, or the floor's, they are.

    ``quick`` runs everybody once in a tiny world, and compares nothing.
    """
    if quick:
        worlds, transports, rounds = ("tiny",), ("plain",), 1
    for transport in transports:
        cases = [Case(world, transport) for world in (_EMPTY, *worlds)]
        taken = _measure(contenders, cases, rounds)
        seconds = {turn: median(values) for turn, values in taken.items()}
        for contender in contenders:
            yield Figure(f"cpu of nothing, {transport}: {contender}", f"{seconds[contender, cases[0]]:.2f} s")
        for case in cases[1:]:
            whole = {contender: seconds[contender, case] for contender in contenders}
            net = {contender: whole[contender] - seconds[contender, cases[0]] for contender in contenders}
            for contender in contenders:
                values = taken[contender, case]
                measured = f"{whole[contender]:.2f} s, net {net[contender]:.2f} s"
                spread = f"from {min(values):.2f} to {max(values):.2f} s in {len(values)} turns" if rounds > 1 else ""
                yield Figure(f"cpu of {case}: {contender}", measured, note=spread)
            if _OURS in contenders and not quick:
                yield from _compared(case, whole, net)


_Turn = tuple[str, Case]


def _measure(contenders: Sequence[str], cases: Sequence[Case], rounds: int) -> dict[_Turn, list[float]]:
    """The seconds of each turn: each round, a long contender has one at each case, a short one as many as they are."""
    short = [contender for contender in contenders if contender in _SHORT]
    in_turns = [turn for each in contenders if each not in _SHORT for turn in (*short, each)] or short
    taken: defaultdict[_Turn, list[float]] = defaultdict(list)
    with page_server() as serving:
        for _ in range(rounds):
            for case in cases:
                for contender in in_turns:
                    taken[contender, case].append(_run(contender, case, serving))
    return taken


def _compared(case: Case, whole: Mapping[str, float], net: Mapping[str, float]) -> Iterator[Figure]:
    """How many times ours the seconds of each other contender are, and how many times the floor's ours are."""
    starting = f"starting is {1.0 - net[_OURS] / whole[_OURS]:.0%} of ours"
    for contender in whole:
        if contender != _OURS:
            yield _ratio(f"cpu of {case}", contender, "whole", whole, starting)
            yield _ratio(f"cpu of {case}", contender, "net", net, _BINDS)


def _ratio(of_what: str, contender: str, kind: str, seconds: Mapping[str, float], note: str = "") -> Figure:
    if contender == _FLOOR:
        ratio, name = seconds[_OURS] / seconds[_FLOOR], f"{of_what}: ours / floor, {kind}"
        return Figure(name, f"{ratio:.1f}", f"at most {_MOST_OF_FLOOR:g}", ratio <= _MOST_OF_FLOOR, note)
    ratio, name = seconds[contender] / seconds[_OURS], f"{of_what}: {contender} / ours, {kind}"
    if contender not in _LEAST:
        return Figure(name, f"{ratio:.1f}")
    return Figure(name, f"{ratio:.1f}", f"at least {_LEAST[contender]:g}", ratio >= _LEAST[contender], note)


def _run(contender: str, case: Case, serving: Serving) -> float:
    """The seconds of one run. Raises RuntimeError where it failed or its rows are not as many as there are events."""
    url = f"{serving.urls[case.transport]}/{case.world}"
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
    parser.add_argument("--quick", action="store_true", help="everybody once in a tiny world: does it work?")
    for option, all_names in (("--only", CONTENDERS), ("--worlds", WORLDS), ("--transports", TRANSPORTS)):
        parser.add_argument(
            option, type=_names_of(all_names), default=all_names, help=f"of {','.join(all_names)}, with commas between"
        )
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the medians are of (3)")
    given = parser.parse_args()
    show(
        figures(
            quick=given.quick,
            contenders=given.only,
            worlds=given.worlds,
            transports=given.transports,
            rounds=given.rounds,
        )
    )


def _names_of(all_names: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(all_names):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(all_names)}")
        return text.split(",")

    return names


if __name__ == "__main__":
    main()
