"""An emulator in a process of its own, whose clock stands until it is moved on."""

from __future__ import annotations

import json
import multiprocessing
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator import Account, ClockOptions, EmulatorOptions, QuotaOptions, ServiceOptions, WorldOptions, serve
from tests.support.oracle import expected_row
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY
from tests.support.table_laws import TrueTables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from tests.support.oracle import Row

#: 2026-11-02T00:00:00Z, a Monday: the first moment of every world.
START_US = 1_793_577_600_000_000
REGION = "us-east-1"
#: How long after its time an event may be listed at last, and so how long after its end a session gets events: long, so
#: that many a run meets a session in that time.
LAG_S = 10_800.0
#: What goes wrong with the calls, seldom enough that no call ever uses up its attempts.
FAULTS = (
    "throttle p=0.02",
    "server_error status=503 p=0.02",
    "reset p=0.01",
    "cut p=0.01",
    "cut_json p=0.01",
    "slow seconds=0.05 p=0.3",
)
#: Only the faults shall hinder a run.
PLENTY = QuotaOptions(calls_per_second=1e6, burst=10**6)
_READY_S_MAX = 60.0
_ANSWER_S_MAX = 60.0
_STOP_S_MAX = 10.0
DAY_S = 86_400.0


@dataclass(slots=True)
class Emulated:
    """The parent's hold on an emulator at ``url``."""

    url: str
    days: float
    _truth: Counter[Row] | None = field(default=None, init=False)

    @property
    def now_us(self) -> int:
        """The emulator's time, in microseconds since the epoch."""
        now_us: int = self._ask("clock")["now_us"]
        return now_us

    def move_on(self, seconds: float) -> None:
        """Let so much time pass at once: sessions begin, grow and end."""
        self._truth = None
        self._ask("clock", {"advance_s": seconds})

    def move_behind_the_end(self) -> None:
        """Make it a time when every session of the world has ended and can be sealed."""
        self.move_on(max(START_US / 1e6 + (self.days + 2.0) * DAY_S - self.now_us / 1e6, 0.0))

    def truth(self) -> Counter[Row]:
        """Every row of a complete export at this moment."""
        if self._truth is None:
            self._truth = Counter()
            for text in self._read("truth").splitlines():
                line = json.loads(text)
                row = expected_row((line["stage_arn"], line["session_id"], line["participant_id"]), line["event"])
                if row is None:
                    raise ValueError(f"an event of the world has no time: {line}")
                self._truth[row] += 1
        return self._truth

    def tables(self) -> TrueTables:
        """What it shows of stages, sessions and participants at this moment."""
        names = ("stages", "sessions", "participants")
        lines = {name: [json.loads(text) for text in self._read(f"truth?table={name}").splitlines()] for name in names}
        return TrueTables(lines, self.now_us, int(LAG_S * 1e6))

    def calls(self) -> dict[str, Any]:
        """The log of calls since the last look, which begins anew."""
        calls = self._ask("calls")
        self._ask("calls", {})
        return calls

    def _ask(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._read(name, None if body is None else json.dumps(body).encode()))
        return answer

    def _read(self, name: str, body: bytes | None = None) -> bytes:
        url = f"{self.url}/_emulator/{name}"
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own server
        with urllib.request.urlopen(asked, timeout=_ANSWER_S_MAX) as answer:  # noqa: S310 - the same
            read: bytes = answer.read()
            return read


@contextmanager
def emulated(world: WorldOptions, faults: tuple[str, ...] = FAULTS) -> Iterator[Emulated]:
    """An emulator of this world, at the world's first moment, that takes the keys of SeaweedFS's user."""
    options = EmulatorOptions(
        world=world,
        accounts=(Account(ACCESS_KEY, SECRET_KEY),),
        regions=(REGION,),
        service=ServiceOptions(PLENTY, faults=faults),
        clock=ClockOptions(is_frozen=True, start_us=START_US),
    )
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(options, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_READY_S_MAX):
            raise RuntimeError("the emulator is not ready")
        yield Emulated(ours.recv(), world.times.days)
    finally:
        ours.close()
        process.terminate()
        process.join(_STOP_S_MAX)
        if process.exitcode is None:
            process.kill()
            process.join()
        process.close()


def _serve(options: EmulatorOptions, ready: Connection) -> None:
    serve(options, lambda emulator: ready.send(emulator.url))
