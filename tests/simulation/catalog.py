"""The catalog of a simulated world, and how one process reaches it: late, in vain, or without an answer.

It stands where the publisher asks of its tables (`LakeCatalog`), and not below PyIceberg: that takes seconds to import
and some 50 ms a commit, has threads of its own, and names files at random, so that no seed would repeat a world. What
it promises is what Iceberg does: a commit is made whole or not at all, and only on the snapshot that it was planned
on. PyIceberg itself is tried by `tests/catalog`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.catalog.behind import count_behind
from exporter.catalog.edit import Leaving
from exporter.catalog.errors import CatalogError, CatalogMismatch, CatalogRace
from exporter.catalog.publish import Publisher
from exporter.errors import LakeRefused
from exporter.lake.identity import KEY, decode_identity
from tests.simulation.loop import NOBODY
from tests.simulation.process import Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from random import Random

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.edit import TableEdit
    from exporter.catalog.outcome import Publication
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table
    from exporter.machine.clock import Clock
    from tests.simulation.catalog_laws import CatalogLaws
    from tests.simulation.process import SimulatedProcess

Done = TypeVar("Done")

#: What a process waits for an answer, as `exporter.catalog.open` does, and how late one may arrive all the same.
_ANSWER_S_MAX, _ARRIVES_S_MAX = 300.0, 900.0


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table is at one moment: each change makes a new one. ``snapshot`` is 0 where it never listed a file."""

    listed: frozenset[str] = frozenset()
    properties: dict[str, str] = field(default_factory=dict)
    snapshot: int = 0


class Catalog:
    """What is in the catalog. Each commit is made at one instant, and the laws look at it."""

    def __init__(self, laws: CatalogLaws) -> None:
        self.tables: dict[str, TableState] = {}
        self._laws = laws
        self._snapshots = 0

    def make(self, table: str) -> TableState:
        """Make a table where there is none."""
        return self.tables.setdefault(table, TableState())

    def commit(self, table: str, planned_on: int, edit: TableEdit) -> None:
        """Change a table. Raises :class:`CatalogRace` where it has another snapshot than it was planned on."""
        state = self.tables[table]
        if state.snapshot != planned_on:
            raise CatalogRace(f"{table} was changed by another publisher")
        added, removed = [str(each) for each in edit.added], {str(each) for each in edit.removed}
        left = frozenset() if edit.is_emptied else state.listed - removed
        if edit.is_emptied:
            self._laws.emptied(table)
        self._laws.committing(table, state.listed, removed, left, added)
        if added or removed or (edit.is_emptied and state.snapshot):
            self._snapshots += 1
            state = replace(state, snapshot=self._snapshots)
        kept = {name: value for name, value in state.properties.items() if name not in edit.forgotten}
        self.tables[table] = replace(state, listed=left | set(added), properties={**kept, **edit.properties})
        self._laws.committed(table, self.tables[table])


class CatalogHandle:
    """The catalog as one process has it, a `LakeCatalog`: each thing that is asked takes a drawn time and may fail."""

    def __init__(self, catalog: Catalog, process: SimulatedProcess, trace: Callable[..., None], store: Store) -> None:
        self.store = store
        self.lake_id = ""
        self._catalog = catalog
        self._process = process
        self._trace = trace

    @property
    def clock(self) -> Clock:
        return self._process.clock

    async def open(self) -> CatalogHandle:
        """Read whose lake it is."""
        body = await self.store.read(KEY)
        if body is None:
            raise LakeRefused("there is no lake yet")
        self.lake_id = decode_identity(body).id
        return self

    async def open_table(self, table: Table, *, is_anew: bool = False) -> LoadedTable:  # noqa: ARG002 - none is unfit
        return LoadedTable(self, table, await self.do("open", table.name, lambda: self._catalog.make(table.name)))

    async def find_table(self, table: Table) -> LoadedTable | None:
        state = await self.do("find", table.name, lambda: self._catalog.tables.get(table.name))
        return None if state is None else LoadedTable(self, table, state)

    async def commit(self, table: str, planned_on: int, edit: TableEdit) -> None:
        await self.do("commit", table, lambda: self._catalog.commit(table, planned_on, edit), is_change=True)

    async def do(self, operation: str, table: str, act: Callable[[], Done], *, is_change: bool = False) -> Done:
        """Ask the catalog, and wait for its answer: a thread does so, which goes on where nobody waits any more."""
        process, random, faults = self._process, self._process.random, self._process.step.faults
        if process.is_killed:
            raise Killed
        loop = process.loop
        answer: asyncio.Future[Done] = loop.create_future()
        fate = random.random()
        is_failed = fate < faults.catalog_failed
        is_lost = not is_failed and fate < faults.catalog_failed + faults.catalog_lost
        is_silent = is_lost and random.random() < 0.2
        outlives_process = random.random() < 0.3

        def arrive() -> None:
            if process.is_killed and not outlives_process:
                return
            given: Any = None
            try:
                given = CatalogError(f"{operation} failed") if is_failed else act()
            except CatalogRace as error:
                given = error
            is_overtaken = isinstance(given, CatalogRace)
            how = "fails" if is_failed else "answer lost" if is_lost else "overtaken" if is_overtaken else ""
            self._trace(process.name, f"catalog {operation}", table, how)
            if is_lost:
                # An answer that says that it is unknown, or one that says wrongly that it failed.
                given = CatalogRace("unknown") if random.random() < 0.5 else CatalogError("the line is cut")
            if not process.is_killed:
                loop.call_later(_delay_s(random), _settle, answer, given, context=NOBODY)
                process.count(is_change=is_change)

        takes_s = random.uniform(_ANSWER_S_MAX, _ARRIVES_S_MAX) if is_silent else _delay_s(random)
        loop.call_later(takes_s, arrive, context=NOBODY)
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                return await answer
        except TimeoutError as error:
            raise CatalogError("the catalog does not answer") from error


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table as a process has loaded it."""

    handle: CatalogHandle
    table: Table
    state: TableState

    @property
    def properties(self) -> dict[str, str]:
        return self.state.properties

    @property
    def has_files(self) -> bool:
        return self.state.snapshot > 0

    def lister(self) -> Callable[[LoggedFile, bytes], Any]:
        """A file is listed by its key: what else a table lists of it is PyIceberg's."""
        return lambda file, _end: file.key

    async def leaving(self, gone: Collection[str], maybe_skipped: Collection[str]) -> Leaving:
        removed: list[Any] = sorted(self.state.listed.intersection(gone))
        if missing := set(gone) - self.state.listed - set(maybe_skipped):
            raise CatalogMismatch(f"{min(missing)} is not listed")
        return Leaving(removed)

    async def commit(self, edit: TableEdit) -> None:
        await self.handle.commit(self.table.name, self.state.snapshot, edit)


async def publish_in(handle: CatalogHandle, files_max: int, *, is_rebuild: bool = False) -> Publication:
    """Bring the catalog up to the log, as `keep_catalog` does."""
    return await Publisher(await handle.open(), files_max).publish(is_rebuild=is_rebuild)


async def behind_in(handle: CatalogHandle) -> Publication:
    """What `status` counts."""
    return await count_behind(await handle.open())


def _delay_s(random: Random) -> float:
    draw = random.random()
    return draw * draw * 0.5


def _settle(answer: asyncio.Future[Any], given: object) -> None:
    if answer.done():
        return
    if isinstance(given, CatalogError):
        answer.set_exception(given)
    else:
        answer.set_result(given)
