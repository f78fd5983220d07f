"""A lake's catalog, open: its tables, asked in threads that neither hold up the event loop nor keep the process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.file_io import opened_for_catalogs
from exporter.catalog.iceberg_table import LoadedIcebergTable
from exporter.catalog.in_threads import close_in_thread, in_thread, open_in_thread
from exporter.catalog.kinds import MAKES_NOTHING, aws_properties, is_begun, open_catalog, plain_properties
from exporter.catalog.tables import LakeTables
from exporter.catalog.wanted import check_catalog, places_of
from exporter.errors import LakeRefused
from exporter.lake.identity import KEY, decode_identity
from exporter.machine.daemon_threads import DaemonThreads
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from exporter.aws.sessions import MakeSession
    from exporter.catalog.file_io import OpenLake
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table
    from exporter.machine.clock import Clock
    from exporter.settings import Settings

Given = ParamSpec("Given")
Result = TypeVar("Result")

#: What a catalog may take for one thing that it is asked: opening it, finding a table, a commit with all its manifests.
ANSWER_S_MAX = 300.0
#: What making one large file may take: many answers of the lake, each with a bound of its own.
MAKING_S_MAX = 3_600.0
_TRIES_MAX, _WAIT_S = 3, 1.0
_log = Logger(__name__)


@dataclass(slots=True)
class OpenCatalog:
    """The catalog of the lake in ``store``. PyIceberg has no time-outs of its own, so each call has one here."""

    tables: LakeTables
    store: Store
    clock: Clock
    answer_s_max: float = ANSWER_S_MAX
    _threads: DaemonThreads = field(init=False, default_factory=DaemonThreads)

    @property
    def lake(self) -> OpenLake:
        """The lake as PyIceberg reads and writes it."""
        return self.tables.lake

    @property
    def lake_id(self) -> str:
        """The lake's own id."""
        return self.tables.lake_id

    def url_of(self, key: str) -> str:
        """Where a file of the lake is, as tables list it."""
        return f"{self.lake.places.lake}/{key}"

    async def open_table(self, table: Table, *, is_anew: bool = False) -> LoadedIcebergTable:
        """Load a table, made where it is missing, and set right; with ``is_anew`` also where it does not fit.

        Raises as `LakeTables.open`.
        """
        tables = self.tables
        return LoadedIcebergTable(self, table, await self.ask(tables.open_anew if is_anew else tables.open, table))

    async def find_table(self, table: Table) -> LoadedIcebergTable | None:
        """Load a table, and change nothing; None where there is none.

        Raises :class:`CatalogMismatch` where it does not fit the lake, and :class:`CatalogError`.
        """
        found = await self.ask(self.tables.find, table)
        if found is None:
            return None
        self.tables.check(found, table)
        return LoadedIcebergTable(self, table, found)

    async def do(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Do what blocks in a thread, once. Raises :class:`CatalogError` where it does not come to an end, too."""
        return await in_thread(self._threads, self.answer_s_max, partial(work, *args, **kwargs))

    async def make(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Do as `do` what takes long of itself."""
        return await in_thread(self._threads, MAKING_S_MAX, partial(work, *args, **kwargs))

    async def ask(self, work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
        """Do what may be done twice, and again where it fails: a database is locked, a service away for a moment."""
        return await _tried(self.clock, partial(self.do, partial(work, *args, **kwargs)))


@asynccontextmanager
async def opened_catalog(
    settings: Settings,
    store: Store,
    make_session: MakeSession | None,
    clock: Clock,
    answer_s_max: float = ANSWER_S_MAX,
    *,
    is_look: bool = False,
) -> AsyncIterator[OpenCatalog]:
    """Open the catalog that the settings name. ``make_session`` gives AWS's sessions, where the catalog is AWS's.

    With ``is_look`` nothing is made in it, not even the tables that a catalog in SQL needs for itself.

    Raises :class:`CatalogError`, :class:`LakeError`, :class:`UsageError`, and :class:`CredentialsLost`.
    """
    check_catalog(settings)
    body = await store.read(KEY)
    if body is None:
        raise LakeRefused(f"{settings.lake} has no {KEY}: the next `ivs-export run` makes it, and publishes then")
    lake_id = decode_identity(body).id
    own = await aws_properties(settings, make_session)
    with opened_for_catalogs(places_of(settings), store) as (lake, of_files):
        manner = MAKES_NOTHING if is_look else {}
        opening = partial(open_catalog, settings.catalog, own, {**of_files, **manner})
        # Two that open a catalog in SQL for the first time both make its own tables, and one of them fails.
        catalog = await _tried(clock, partial(open_in_thread, opening, answer_s_max))
        secret = {**own, **plain_properties(settings.catalog)}
        tables = LakeTables(catalog, settings.catalog.database, lake, lake_id, secret, settings.catalog.kind == "rest")
        try:
            yield OpenCatalog(tables, store, clock, answer_s_max)
        finally:
            await close_in_thread(catalog)


async def has_begun(settings: Settings, clock: Clock, answer_s_max: float = ANSWER_S_MAX) -> bool:
    """Whether there is a catalog to look at: one in SQL is made by the first publication.

    Raises :class:`CatalogError` and :class:`UsageError`.
    """
    check_catalog(settings)
    return await _tried(clock, partial(in_thread, DaemonThreads(), answer_s_max, partial(is_begun, settings.catalog)))


async def _tried(clock: Clock, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Do the work, again where it fails, and raise what the last try raises; what does not fit will not fit then."""
    for number in range(1, _TRIES_MAX):
        try:
            return await work()
        except CatalogMismatch:
            raise
        except CatalogError as error:
            _log.info("catalog_asked_again", reason=str(error))
        await clock.sleep(clock.draw() * _WAIT_S * number)
    return await work()
