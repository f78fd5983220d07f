"""The real command amid surroundings that fail, and what must hold of it whatever they do."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from exporter.health.verify import Verified, verify
from exporter.lake.stores.open import open_store
from exporter.settings import S3Settings
from tests.support.command import command_line, environment_of, started
from tests.support.command import until as until_so
from tests.support.laws import check_equal, check_reading
from tests.support.oracle import expected
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY
from tests.support.sessions import aws_session

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from exporter.emulator import Emulator
    from tests.failures.middle import Middle
    from tests.support.command import Ended, Running
    from tests.support.lakes import Lake
    from tests.support.oracle import Row

_WAIT_S = 120.0
#: Many checkpoints, each of some files, in a run of about a second.
OFTEN = ("--checkpoint-s", "0.02", "--concurrency", "4")
#: Some checkpoints, for runs that are held in their middle.
SOMETIMES = ("--checkpoint-s", "0.2", "--concurrency", "4")
FAILED = 1


def assert_failed(ended: Ended, kind: str, said: str) -> None:
    """The whole run failed: one line says why, the object says the same, and every unit has its outcome."""
    [line] = [line for line in ended.log if line["level"] in {"error", "critical"}]
    assert (ended.code, line["event"], line["error"]) == (FAILED, "failed", kind), line
    assert re.search(said, line["message"]), line["message"]
    assert ended.summary["outcome"] == "failed"
    named = {"count": 1, "units": [], "unit": None}
    assert ended.summary["failures"][0] == {"error": kind, "message": line["message"], **named}
    assert_counted(ended)


def assert_counted(ended: Ended) -> None:
    """Found is the sum of the outcomes, and the whole is the sum of its scopes."""
    summary = ended.summary
    for counted in (summary, *summary["scopes"]):
        outcomes = dict(counted["units"])
        assert outcomes.pop("found") == sum(outcomes.values())
    for name in ("files", "bytes", "retries"):
        assert summary[name] == sum(scope[name] for scope in summary["scopes"])


def written(ended: Ended) -> int:
    """The events that a run says it wrote."""
    count: int = ended.summary["events"]["written"]
    return count


@dataclass(slots=True)
class Exports:
    """Runs into one lake. ``keys`` are the environment's way to credentials."""

    emulator: Emulator
    middle: Middle
    lake: Lake
    keys: dict[str, str] = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    )
    _truth: Counter[Row] | None = None

    @property
    def truth(self) -> Counter[Row]:
        """The rows of a complete export: the emulator's clock stands, so they never change."""
        if self._truth is None:
            self._truth = expected(self.emulator.truth())
        return self._truth

    @asynccontextmanager
    async def running(
        self, *options: str, within: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> AsyncIterator[Running]:
        """A run, started by the command ``within``; it does not outlive the block."""
        fast = ("--region", "us-east-1", "--calls-per-second", "5000")
        command = command_line("run", "--lake", self.lake.address, "--json", *fast, *options)
        own = environment_of(self.emulator.url, self.lake.environment, self.keys, environment or {})
        with started([*within, *command], own, secrets=("secret",)) as running:
            yield running

    async def run(
        self, *options: str, within: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Ended:
        """A run, from its start to its end."""
        async with self.running(*options, within=within, environment=environment) as running:
            return await running.end()

    async def run_changed(
        self,
        is_so: Callable[[], bool],
        change: Callable[[Running], object],
        *options: str,
        within: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """A run in whose middle, once something is so, something changes."""
        with self.middle.held():
            async with self.running(*options, within=within, environment=environment) as running:
                await until_so(lambda: running.is_over or is_so(), _WAIT_S)
                change(running)
                self.middle.end()
                return await running.end()

    def assert_readable(self, ended: Ended) -> None:
        """A reader finds rows of committed records alone, each once, and no fewer than the run says it wrote."""
        rows = check_reading(self.lake, self.truth)
        assert rows >= written(ended)
        assert len(self.lake.visible()) >= ended.summary["files"] - _last_files(self.lake)

    async def assert_completes(self) -> None:
        """With the cause gone the next run does the rest; then the lake is the truth, and ``verify`` is content."""
        ended = await self.run()
        assert (ended.code, ended.summary["failures"]) == (0, []), ended.log
        assert_counted(ended)
        check_equal(self.lake, self.truth)
        verified = Verified()
        async with open_store(self.lake.address, partial(aws_session, ACCESS_KEY, SECRET_KEY), S3Settings()) as store:
            assert [problem async for problem in verify(store, verified)] == []
        assert verified.rows["events"] == self.truth.total()


def _last_files(lake: Lake) -> int:
    """The files of the last record, which a run that fails there may have counted and not shown yet."""
    records = lake.records()
    return len(records[-1]["files"]) if records else 0
