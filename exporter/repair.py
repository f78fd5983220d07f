"""Repair: mends what verify finds, scope by scope, each under its lease.

Nothing is thrown away but rows that stand twice: what is damaged is set aside under ``_damaged/``. After each step the
log is true of the files, or says by itself that it is not; so a repair that was ended anywhere is finished by the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from exporter.commit import Journal
from exporter.data_files import scope_in
from exporter.domain import Scope
from exporter.errors import Held, LogDamaged, Overtaken
from exporter.lease import Holder, Lease
from exporter.ledger import ScopeLedger
from exporter.log_reader import read_state, snapshots_of, whole_log
from exporter.mending import Mending
from exporter.problems import Kind
from exporter.recovery import recover, settle_staged
from exporter.set_aside import set_aside, set_log_aside
from exporter.state import ScopeState
from exporter.times import text_of
from exporter.verify import Verified, folder_of, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from exporter.clock import Clock
    from exporter.problems import Problem
    from exporter.processes import Process
    from exporter.store import Store

_WOULD = {
    Kind.LOG: "would set the log aside, and begin it anew from the files",
    Kind.SNAPSHOT: "would set it aside",
    Kind.UNNAMED: "would name it in the log again, and open its sessions",
    Kind.UNFINISHED: "would finish it",
    Kind.MISSING: "would call it lost, and open its sessions",
    Kind.DAMAGED: "would set it aside, and open its sessions",
    Kind.REPEATED: "would take the rows out that stand twice",
}
# What is named anew may hold rows that stand twice, and files written anew may be looked at once more.
_ROUNDS_MAX = 4
_log = structlog.get_logger()


@dataclass(slots=True)
class Repaired:
    """What was done, by file or folder; the problems that are left; and how many sessions the next run asks for again.

    ``verified`` counts what the first look at the lake read.
    """

    done: dict[str, str] = field(default_factory=dict)
    left: list[Problem] = field(default_factory=list)
    sessions_opened: int = 0
    verified: Verified = field(default_factory=Verified)


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair of a lake. ``run_id`` stands in the records and the names of the files that it writes.

    ``process`` is the one that its leases name, and ``is_gone`` says of another whether it has ended, None where that
    can't be seen from here.
    """

    store: Store
    run_id: str
    clock: Clock
    process: Process
    is_gone: Callable[[Process], bool | None]

    async def plan(self) -> Repaired:
        """Say what `run` would do. Nothing is changed. Raises as `verify`."""
        repaired = Repaired()
        async for problem in verify(self.store, repaired.verified, is_gone=self.is_gone):
            if problem.kind in _WOULD:
                repaired.done[problem.key] = _WOULD[problem.kind]
            else:
                repaired.left.append(problem)
        return repaired

    async def run(self) -> Repaired:
        """Mend what can be mended. Raises :class:`LakeError` where the lake can't be read or written."""
        repaired = Repaired()
        found = [problem async for problem in verify(self.store, repaired.verified, is_gone=self.is_gone)]
        for name in sorted({problem.scope for problem in found if problem.scope}):
            of_scope = [problem for problem in found if problem.scope == name]
            if any(problem.kind in _WOULD for problem in of_scope):
                repaired.left += await self._mend(Scope(*name.split("-", 1)), of_scope, repaired)
            else:
                repaired.left += of_scope
        repaired.left += [problem for problem in found if not problem.scope]
        return repaired

    async def _mend(self, scope: Scope, found: list[Problem], repaired: Repaired) -> list[Problem]:
        """Mend one scope; gives the problems that are left in it."""
        holder = Holder(self.process, self.run_id, self._now())
        lease = Lease(self.store, scope, holder, self.clock, self.is_gone)
        try:
            await lease.acquire(wait=False)
            try:
                return await self._mend_held(scope, found, repaired)
            finally:
                await lease.release()
        except (Held, Overtaken) as error:
            _log.warning("scope_not_repaired", scope=str(scope), reason=str(error))
            return found

    async def _mend_held(self, scope: Scope, found: list[Problem], repaired: Repaired) -> list[Problem]:
        journal = Journal(self.store, scope, self.run_id, await self._state(scope, repaired))
        await journal.begin(self._now())
        await recover(self.store, journal, self._now(), is_repair=True)
        mending = Mending(self.store, journal, self._now(), done=repaired.done)
        await mending.read()
        # A log that was begun anew knows no file: all of them are looked at.
        is_new = any(problem.kind is Kind.LOG for problem in found)
        places = None if is_new else {folder_of(problem.key) for problem in found} | _folders(found)
        left = await self._look(scope, places)
        for _ in range(_ROUNDS_MAX):
            if not any(problem.kind in _WOULD for problem in left):
                break
            await self._act(mending, left)
            left = await self._look(scope, places)
        repaired.sessions_opened += len(mending.opened)
        ledger = ScopeLedger(scope.region, scope.account_id)
        ledger.close()
        await journal.commit(self._now(), summary=ledger.summary())
        return left

    async def _state(self, scope: Scope, repaired: Repaired) -> ScopeState:
        """What the log adds up to; nothing where it can't be built on: it is set aside then."""
        try:
            async for _ in whole_log(self.store, scope, await snapshots_of(self.store, scope)):
                pass
            return await read_state(self.store, scope)
        except LogDamaged as error:
            _log.warning("log_set_aside", scope=str(scope), reason=error.reason)
        await settle_staged(self.store, scope)
        await set_log_aside(self.store, scope, self.run_id)
        repaired.done[f"_log/{scope}"] = f"set aside under _damaged/{self.run_id}/, and begun anew from the files"
        return ScopeState()

    async def _look(self, scope: Scope, places: AbstractSet[str] | None) -> list[Problem]:
        looked = verify(self.store, Verified(), only=str(scope), places=places, is_gone=self.is_gone)
        return [problem async for problem in looked]

    async def _act(self, mending: Mending, problems: Iterable[Problem]) -> None:
        keys = {kind: [problem.key for problem in problems if problem.kind is kind] for kind in Kind}
        for key in keys[Kind.SNAPSHOT]:
            await set_aside(self.store, key)
            mending.done[key] = "set aside under _damaged/"
        await mending.give_up(keys[Kind.MISSING], keys[Kind.DAMAGED])
        await mending.name_again(keys[Kind.UNNAMED])
        for folder in dict.fromkeys(keys[Kind.REPEATED]):
            await mending.take_out_repeats(folder)

    def _now(self) -> str:
        return text_of(self.clock.wall_us())


def _folders(problems: Iterable[Problem]) -> set[str]:
    """The folders that problems are in which name no file."""
    return {problem.key for problem in problems if scope_in(problem.key) is None}
