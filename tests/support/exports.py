"""Runs of the real exporter against an emulator, and what is asserted of every one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli import exit_codes
from exporter.discovery.request import Request
from exporter.emulator import ClockOptions, EmulatorOptions, QuotaOptions, ServiceOptions, WorldOptions
from exporter.errors import ExportError
from exporter.machine.clock import system_clock
from exporter.pipeline.run import run
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import Stop
from exporter.pipeline.surroundings import real_surroundings
from exporter.settings import HttpSettings, QuotaSettings, RetrySettings, RunSettings, Settings
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from exporter.emulator import Emulator
    from exporter.pipeline.surroundings import Surroundings

#: A Monday, noon of 2026-11-23; the worlds are of the week before.
NOW_US = 1_795_435_200_000_000
HOUR_S = 3_600.0
#: The account and the region of an emulator without other options.
ACCOUNT, REGION = "111122223333", "us-east-1"
PLENTY = QuotaOptions(calls_per_second=1e6, burst=10**6)
#: A pace that is no hindrance, even where throttles slow it down to its least.
FAST = QuotaSettings(calls_per_second=5_000.0)

_LAYOUT = re.compile(
    r"(?:events/event|stages/exported|sessions/session|participants/session)_date=\d{4}-\d\d-\d\d"
    r"/\d{12}-[a-z0-9-]+-\d{9}-run\d+-\d{6}\.parquet"
    r"|_log/lake\.json"
    r"|_iceberg/(?:events|stages|sessions|participants)/metadata/[0-9a-z.-]+\.(?:avro|metadata\.json)"
    r"|_log/empty/(?:base|\d{12})-[a-z0-9-]+/\d{12}\.json"
    r"|_rejects/\d{12}-[a-z0-9-]+-\d{9}-run\d+-\d{6}\.jsonl"
    r"|_log/\d{12}-[a-z0-9-]+/(?:records|snapshots|lease)/\d{12}\.json"
)


def options_of(world: WorldOptions | None = None, /, *, start_us: int = NOW_US, **changes: Any) -> EmulatorOptions:
    """An emulator whose clock stands at ``start_us``, with a quota that is no hindrance.

    ``changes`` are values of :class:`EmulatorOptions` or of its :class:`ServiceOptions`.
    """
    answers = {field.name: changes.pop(field.name) for field in fields(ServiceOptions) if field.name in changes}
    others = {"clock": ClockOptions(is_frozen=True, start_us=start_us), **changes}
    service = ServiceOptions(**{"quota": PLENTY, **answers})
    return EmulatorOptions(small_world() if world is None else world, service=service, **others)


def mostly_slow(cases: Iterable[Any], quick: int) -> list[Any]:
    """The cases as pytest's parameters: every so manieth belongs to the quick subset, the others are slow."""
    return [
        each if place % quick == 0 else pytest.param(each, marks=pytest.mark.slow) for place, each in enumerate(cases)
    ]


def stage_of(name: str, account: str = ACCOUNT, region: str = REGION) -> str:
    """A stage's ARN."""
    return f"arn:aws:ivs:{region}:{account}:stage/{name}"


def beside(emulator: Emulator) -> Surroundings:
    """The surroundings of a run whose local clock shows the emulator's time."""
    here = system_clock()
    return real_surroundings(replace(here, wall_us=lambda: emulator.clock.now_us, machine_us=here.wall_us))


@dataclass(frozen=True, slots=True)
class Exported:
    """How a run ended."""

    ledger: RunLedger
    error: ExportError | None
    exit_code: int

    @property
    def summary(self) -> dict[str, Any]:
        return self.ledger.summary(0.0)

    @property
    def failed(self) -> dict[str | None, str]:
        """The kind of each failure, by the name of what failed; of many that failed alike, the first ten."""
        return {
            unit: failure["error"]
            for failure in self.summary["failures"]
            for unit in failure["units"] or [failure["unit"]]
        }


@dataclass(slots=True)
class Exports:
    """Runs one after another into one lake. ``sts_url`` is where STS answers, in place of the emulator."""

    monkeypatch: pytest.MonkeyPatch
    lake: Path
    runs: int = 0
    sts_url: str | None = None

    async def run(
        self,
        emulator: Emulator,
        request: Request | None = None,
        *,
        stop: Stop | None = None,
        **settings: Any,
    ) -> Exported:
        """One run in this process. Whatever it was to do, every unit that it found has an outcome."""
        self.runs += 1
        self.monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", emulator.url)
        self.monkeypatch.setenv("AWS_ENDPOINT_URL_STS", self.sts_url or emulator.url)
        chosen = {
            "lake": str(self.lake),
            "regions": emulator.options.regions,
            "quota": FAST,
            "run": RunSettings(),
            "retry": RetrySettings(attempts=3),
            "http": HttpSettings(),
            **settings,
        }
        ledger, error = RunLedger(f"run{self.runs}"), None
        try:
            await run(Settings(**chosen), request or Request(), ledger, stop or Stop(), beside(emulator))
        except ExportError as ended:
            error = ended
        exported = Exported(ledger, error, exit_codes.of_run(ledger, None))
        units = exported.summary["units"]
        assert units.pop("found") == sum(units.values())
        self.assert_layout()
        return exported

    def assert_layout(self) -> None:
        """Nothing stands in the lake but what the format knows, nothing is left staged, nothing stands beside it."""
        assert all(path == self.lake for path in self.lake.parent.iterdir() if path.is_dir())
        for path in self.lake.rglob("*"):
            if not path.is_dir():
                name = path.relative_to(self.lake).as_posix()
                assert _LAYOUT.fullmatch(name), name
