"""The real command amid surroundings that fail, and what must hold of it whatever they do."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aioboto3

from exporter.health.verify import Verified, verify
from exporter.lake.stores.open import open_store
from exporter.settings import S3Settings
from tests.support.command import command_line, environment_of, running_process
from tests.support.command import until as until_so
from tests.support.laws import check_equal, check_reading
from tests.support.oracle import expected
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from exporter.emulator import Emulator
    from tests.support.lakes import Lake
    from tests.support.oracle import Row

_WAIT_S = 120.0
#: Many checkpoints, each of some files, in a run of about a second.
OFTEN = ("--checkpoint-s", "0.02", "--concurrency", "4")
FAILED = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its code, the object that it printed, and the lines of its log."""

    code: int | None
    words: dict[str, Any]
    log: list[dict[str, Any]]

    @property
    def written(self) -> int:
        """The events that it says it wrote."""
        count: int = self.words["events"]["written"]
        return count

    def assert_failed(self, kind: str, said: str) -> None:
        """The whole run failed: one line says why, the object says the same, and every unit has its outcome."""
        [told] = [line for line in self.log if line["level"] in {"error", "critical"}]
        assert (self.code, told["event"], told["error"]) == (FAILED, "failed", kind), told
        assert re.search(said, told["message"]), told["message"]
        assert self.words["outcome"] == "failed"
        named = {"count": 1, "units": [], "unit": None}
        assert self.words["failures"][0] == {"error": kind, "message": told["message"], **named}
        self.assert_counted()

    def assert_counted(self) -> None:
        """Found is the sum of the outcomes, and the whole is the sum of its scopes."""
        for each in (self.words, *self.words["scopes"]):
            outcomes = dict(each["units"])
            assert outcomes.pop("found") == sum(outcomes.values())
        for name in ("files", "bytes", "retries"):
            assert self.words[name] == sum(scope[name] for scope in self.words["scopes"])


@dataclass(slots=True)
class Started:
    """A command at work."""

    process: asyncio.subprocess.Process

    async def end(self) -> Ended:
        """Let it come to its end. It prints no traceback, no secret, and one line on standard output."""
        out, errors = await asyncio.wait_for(self.process.communicate(), _WAIT_S)
        for printed in (out, errors):
            assert b"Traceback" not in printed, errors.decode()
            assert b"secret" not in printed, errors.decode()
        [line] = out.decode().splitlines()
        return Ended(self.process.returncode, json.loads(line), [json.loads(text) for text in errors.splitlines()])


@dataclass(slots=True)
class Exports:
    """Runs into one lake. ``keys`` are the environment's way to credentials."""

    emulator: Emulator
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
    ) -> AsyncIterator[Started]:
        """A run, started by the command ``within``; it does not outlive the block."""
        command = command_line(
            "run", self.lake.address, "--region", "us-east-1", "--calls-per-second", "5000", *options
        )
        own = environment_of(self.emulator.url, self.lake.environment, self.keys, environment or {})
        async with running_process([*within, *command], own) as process:
            yield Started(process)

    async def run(
        self, *options: str, within: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> Ended:
        """A run, from its start to its end."""
        async with self.running(*options, within=within, environment=environment) as started:
            return await started.end()

    def assert_readable(self, ended: Ended) -> None:
        """A reader finds rows of committed records alone, each once, and no fewer than the run says it wrote."""
        rows = check_reading(self.lake, self.truth)
        assert rows >= ended.written
        assert len(self.lake.visible()) >= ended.words["files"] - _last_files(self.lake)

    async def assert_completes(self) -> None:
        """With the cause gone the next run does the rest; then the lake is the truth, and ``verify`` is content."""
        ended = await self.run()
        assert (ended.code, ended.words["failures"]) == (0, []), ended.log
        ended.assert_counted()
        check_equal(self.lake, self.truth)
        verified = Verified()
        session = aioboto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        async with open_store(self.lake.address, session=session, s3=S3Settings()) as store:
            assert [problem async for problem in verify(store, verified)] == []
        assert verified.rows == self.truth.total()


def _last_files(lake: Lake) -> int:
    """The files of the last record, which a run that fails there may have counted and not shown yet."""
    records = lake.records()
    return len(records[-1]["files"]) if records else 0


async def until(is_so: Callable[[], bool], started: Started) -> None:
    """Wait until something is so, or the command has ended."""
    await until_so(lambda: started.process.returncode is not None or is_so(), _WAIT_S)
