"""Repair: mends what verify finds, scope by scope, each under its lease.

Nothing is thrown away but rows that stand twice: what is damaged is set aside under ``_damaged/``. After each step the
log is true of the files, or says by itself that it is not; so a repair that was ended anywhere is finished by the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.reader import read_state, snapshots_of, whole_log
from exporter.commit_log.recovery import settle_staged
from exporter.commit_log.state import ScopeState
from exporter.errors import LogDamaged, Overtaken, ScopeHeld
from exporter.health.identity_checks import identity_problem
from exporter.health.mending import Mending
from exporter.health.problems import ProblemKind
from exporter.health.set_aside import set_aside, set_log_aside
from exporter.health.verify import Verified, folder_of, verify
from exporter.lake.data_files import scope_in
from exporter.model import Scope
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from exporter.health.problems import Problem
    from exporter.health.upkeep import Upkeep
    from exporter.lake.store import Store

_WOULD = {
    ProblemKind.IDENTITY: "would make it anew",
    ProblemKind.LOG: "would set the log aside, and begin it anew: what can be read is named again, what can't is set"
    " aside, rows that stand twice are taken out, and sessions are opened",
    ProblemKind.SNAPSHOT: "would set it aside",
    ProblemKind.UNNAMED: "would name it in the log again, and open its sessions",
    ProblemKind.UNFINISHED: "would finish it",
    ProblemKind.MISSING: "would call it lost, and open its sessions",
    ProblemKind.DAMAGED: "would set it aside, and open its sessions",
    ProblemKind.REPEATED: "would take the rows out that stand twice",
}
#: What is done about these may show more: rows that stand twice, files that can't be read.
_UNCOVERING = frozenset({ProblemKind.LOG, ProblemKind.UNNAMED, ProblemKind.UNFINISHED})
# What is named anew may hold rows that stand twice, and files written anew may be looked at once more.
_ROUNDS_MAX = 4
# A begin record each: minutes at most. A number beyond that was not counted up to.
_FENCED_MAX = 20_000
_log = Logger(__name__)


@dataclass(slots=True)
class Repaired:
    """What was done, by file or folder; the problems that are left; and how many sessions the next run asks for again.

    ``verified`` counts what the first look at the lake read. ``is_more_likely`` says of a plan that more may be found,
    and mended, once that is done.
    """

    done: dict[str, str] = field(default_factory=dict)
    left: list[Problem] = field(default_factory=list)
    sessions_opened: int = 0
    verified: Verified = field(default_factory=Verified)
    is_more_likely: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair of a lake, under the leases of its scopes."""

    upkeep: Upkeep

    async def plan(self) -> Repaired:
        """Say what `run` would do first, and whether more may follow. Nothing is changed. Raises as `verify`."""
        repaired = Repaired()
        for problem in [*await self._identity(), *await self._look(repaired.verified)]:
            if problem.kind in _WOULD:
                repaired.done[problem.key] = _WOULD[problem.kind]
                repaired.is_more_likely |= problem.kind in _UNCOVERING
            else:
                repaired.left.append(problem)
        return repaired

    async def run(self) -> Repaired:
        """Mend what can be mended. Raises :class:`LakeError` where the lake can't be read or written."""
        repaired = Repaired()
        for problem in await self._identity():
            await self._make_identity(problem.key, repaired)
        found = await self._look(repaired.verified)
        repaired.left += [problem for problem in found if not problem.scope]
        for name in sorted({problem.scope for problem in found if problem.scope}):
            of_scope = [problem for problem in found if problem.scope == name]
            if any(problem.kind in _WOULD for problem in of_scope):
                repaired.left += await self._mend(Scope(*name.split("-", 1)), of_scope, repaired)
            else:
                repaired.left += of_scope
        return repaired

    async def _identity(self) -> list[Problem]:
        """What is wrong with the lake's own file, where `upkeep` can make it."""
        found = None if self.upkeep.ensure_lake is None else await identity_problem(self.upkeep.store)
        return [] if found is None else [found]

    async def _make_identity(self, key: str, repaired: Repaired) -> None:
        """Make the lake's file anew; a damaged one is set aside."""
        if await self.upkeep.store.read(key) is not None:
            await set_aside(self.upkeep.store, key)
        if self.upkeep.ensure_lake is not None:
            await self.upkeep.ensure_lake()
        repaired.done[key] = "made anew, with another id"

    async def _mend(self, scope: Scope, found: list[Problem], repaired: Repaired) -> list[Problem]:
        """Mend one scope, if no run holds it; gives the problems that are left in it."""
        numbers: list[int] = []

        async def read(_store: Store, _scope: Scope) -> ScopeState:
            return await self._state(scope, repaired, numbers)

        try:
            async with self.upkeep.journal(scope, read, is_repair=True) as journal:
                # A writer of the log that was set aside may live on, and would take its next number.
                while journal.state.number <= min(max(numbers, default=0), _FENCED_MAX):
                    await journal.begin(self.upkeep.now())
                mending = Mending(self.upkeep.store, journal, self.upkeep.now(), done=repaired.done)
                await mending.read()
                left = await self._mend_held(mending, found)
                repaired.sessions_opened += len(mending.opened)
        except (ScopeHeld, Overtaken) as error:
            _log.warning("scope_not_repaired", scope=str(scope), reason=str(error))
            return found
        return left

    async def _mend_held(self, mending: Mending, found: list[Problem]) -> list[Problem]:
        scope = str(mending.journal.scope)
        # A log that was begun anew knows no file: all of them are looked at.
        is_new = any(problem.kind is ProblemKind.LOG for problem in found)
        only_folders = None if is_new else {folder_of(problem.key) for problem in found} | _folders(found)
        left = await self._look(Verified(), scope, only_folders)
        for _ in range(_ROUNDS_MAX):
            if not any(problem.kind in _WOULD for problem in left):
                break
            await self._act(mending, left)
            left = await self._look(Verified(), scope, only_folders)
        return left

    async def _look(
        self, verified: Verified, only: str | None = None, only_folders: AbstractSet[str] | None = None
    ) -> list[Problem]:
        looked = verify(self.upkeep.store, verified, only=only, only_folders=only_folders, is_gone=self.upkeep.is_gone)
        return [problem async for problem in looked]

    async def _state(self, scope: Scope, repaired: Repaired, numbers: list[int]) -> ScopeState:
        """What the log adds up to; nothing where it can't be built on: it is set aside then, with the ``numbers``."""
        try:
            async for _ in whole_log(self.upkeep.store, scope, await snapshots_of(self.upkeep.store, scope)):
                pass
            return await read_state(self.upkeep.store, scope)
        except LogDamaged as error:
            _log.warning("log_set_aside", scope=str(scope), reason=error.reason)
        await settle_staged(self.upkeep.store, scope)
        numbers += await set_log_aside(self.upkeep.store, scope, self.upkeep.run_id)
        aside = f"_damaged/{self.upkeep.run_id}/"
        repaired.done[f"_log/{scope}"] = f"set aside under {aside}, and begun anew from the files"
        return ScopeState()

    async def _act(self, mending: Mending, problems: Iterable[Problem]) -> None:
        keys = {kind: [problem.key for problem in problems if problem.kind is kind] for kind in ProblemKind}
        for key in keys[ProblemKind.SNAPSHOT]:
            await set_aside(self.upkeep.store, key)
            mending.done[key] = "set aside under _damaged/"
        await mending.give_up(keys[ProblemKind.MISSING], keys[ProblemKind.DAMAGED])
        await mending.name_again(keys[ProblemKind.UNNAMED])
        for folder in dict.fromkeys(keys[ProblemKind.REPEATED]):
            await mending.take_out_repeats(folder)


def _folders(problems: Iterable[Problem]) -> set[str]:
    """The folders that problems are in which name no file."""
    return {problem.key for problem in problems if scope_in(problem.key) is None}
