"""One law over any history in which parts of a lake are lost or altered: no run doubles an event, and repair mends it.

Records, snapshots, the whole log or files go; an older log is restored; bytes become others. A run may come first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from exporter.commit_log.layout import number_of
from exporter.commit_log.process import is_gone, this_process
from exporter.errors import FileDamaged, LogDamaged
from exporter.health.repair import Repair
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from tests.pipeline.test_any_history import REQUESTS, History
from tests.support.service import SCOPE

LOG = (f"_log/{SCOPE}/records/", f"_log/{SCOPE}/snapshots/")


class DamagedHistory(History):
    """Any history, in which the lake is damaged and repaired."""

    def __init__(self) -> None:
        super().__init__()
        self.backup: dict[str, bytes] = {}

    @property
    def _log(self) -> list[str]:
        return sorted((key for key in self.store.records if key.startswith(LOG)), key=number_of)

    @property
    def _files(self) -> list[str]:
        return sorted(key for key in self.store.visible if key.startswith("events/"))

    @rule()
    def back_up_the_log(self) -> None:
        self.backup = {key: self.store.records[key] for key in self._log}

    @rule(data=st.data(), kind=st.sampled_from([None, *sorted(REQUESTS)]))
    def lose_parts_of_the_log(self, data: st.DataObject, kind: str | None) -> None:
        keys = self._log
        first = data.draw(st.integers(0, len(keys)))
        for key in keys[first : data.draw(st.integers(first, len(keys)))]:
            del self.store.records[key]
        self._run_and_repair(kind)

    @precondition(lambda self: self.backup)
    @rule(kind=st.sampled_from([None, *sorted(REQUESTS)]))
    def restore_an_older_log(self, kind: str | None) -> None:
        for key in self._log:
            del self.store.records[key]
        self.store.records |= self.backup
        self._run_and_repair(kind)

    @precondition(lambda self: self._log)
    @rule(data=st.data(), kind=st.sampled_from([None, *sorted(REQUESTS)]))
    def alter_the_log(self, data: st.DataObject, kind: str | None) -> None:
        key = data.draw(st.sampled_from(self._log))
        body = self.store.records[key]
        place = data.draw(st.integers(0, len(body) - 1))
        # No digit: a greater major version is refused, and is no damage that could be told from a newer program.
        self.store.records[key] = body[:place] + b"~" + body[place + 1 :]
        self._run_and_repair(kind)

    @precondition(lambda self: self._files)
    @rule(data=st.data(), kind=st.sampled_from([None, *sorted(REQUESTS)]))
    def lose_files(self, data: st.DataObject, kind: str | None) -> None:
        for key in data.draw(st.lists(st.sampled_from(self._files), min_size=1, unique=True)):
            del self.store.visible[key]
        self._run_and_repair(kind)

    @precondition(lambda self: self._files)
    @rule(data=st.data(), kind=st.sampled_from([None, *sorted(REQUESTS)]))
    def cut_a_file(self, data: st.DataObject, kind: str | None) -> None:
        key = data.draw(st.sampled_from(self._files))
        self.store.visible[key] = self.store.visible[key][:-1]
        self._run_and_repair(kind, is_readable=False)

    def _run_and_repair(self, kind: str | None, *, is_readable: bool = True) -> None:
        """A run, which stops or does no harm; and a repair, after which the lake is whole, but for what is lost."""
        if kind is not None:
            with suppress(LogDamaged, FileDamaged):
                self._run(REQUESTS[kind], 5)
            self.store.restart()
        if is_readable:
            self.nothing_is_doubled_or_made_up()
        self.runs += 1
        upkeep = Upkeep(self.store, f"m{self.runs}", self.service.clock, this_process(), is_gone)
        assert asyncio.run(Repair(upkeep).run()).left == []
        assert asyncio.run(_problems(self)) == []


async def _problems(history: DamagedHistory) -> list[str]:
    return [f"{problem.key}: {problem.message}" async for problem in verify(history.store, Verified())]


DamagedHistory.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_damage = pytest.mark.slow(DamagedHistory.TestCase)
