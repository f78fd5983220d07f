"""What the catalog rests on that runs keep up to date: its package, the way to it, and whose its tables are.

Nothing is made or changed in it. What a permission to write can't be known by without writing is said, and skipped.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Self

from aiobotocore.session import AioSession

from exporter.catalog.errors import CatalogError
from exporter.catalog.foreign_errors import asking
from exporter.catalog.in_threads import close_in_thread, in_thread, open_in_thread
from exporter.catalog.kinds import MAKES_NOTHING, aws_properties, needs_aws, open_catalog, plain_properties
from exporter.catalog.wanted import check_catalog, places_of
from exporter.doctor.catalog_in_glue import GlueLook, look_at_glue
from exporter.doctor.catalog_in_sql import look_at_sql
from exporter.doctor.check import CHECK_S, Check, Examination
from exporter.doctor.way import named
from exporter.errors import UsageError
from exporter.lake.identity import KEY, decode_identity
from exporter.lake.stores.open import is_on_s3, open_store
from exporter.lake.tables import TABLES
from exporter.machine.daemon_threads import DaemonThreads
from exporter.machine.installation import how_to_add
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.tables import LakeTables
    from exporter.doctor.way import WayToAws
    from exporter.lake.tables.table import Table

    Result = TypeVar("Result")

PACKAGE, ANSWERS, OURS, WRITES = "catalog-package", "catalog-answers", "catalog-tables", "catalog-writes"
#: What blocks is waited for so long; a check has a little more.
ANSWER_S = CHECK_S - 1.0
_KEPT = "gc.enabled"
_NOTHING_IS_WRITTEN = "known at the first publication: the catalog has no question for it that changes nothing"


class CatalogInUse:
    """The checks of one catalog; an asynchronous context manager, that opens nothing yet.

    ``run_id`` is no other's. The mutable state: what is open, and what was seen: whether the catalog has the database,
    and what of its permissions.
    """

    def __init__(self, way: WayToAws, run_id: str, answer_s: float = ANSWER_S) -> None:
        self._way = way
        self._settings = way.settings
        self._run_id = run_id
        self._answer_s = answer_s
        self._stack = AsyncExitStack()
        self._tables: LakeTables | None = None
        self._in_glue: GlueLook | None = None
        self._has_database = self._is_writable = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    def examinations(self) -> list[Examination]:
        """The checks, in their order; none where no catalog is configured."""
        if not self._settings.catalog.kind:
            return []
        lake = "lake-read" if is_on_s3(self._settings.lake) else "lake-folder"
        signed = ("credentials",) if needs_aws(self._settings.catalog) else ()
        return [
            Examination(PACKAGE, self.check_package),
            Examination(ANSWERS, self.check_answers, (PACKAGE, lake, *signed)),
            Examination(OURS, self.check_tables, (ANSWERS,)),
            Examination(WRITES, self.check_writes, (ANSWERS,)),
        ]

    async def check_package(self) -> Check:
        """Import what a publication needs. Raises :class:`UsageError` where that, or a property, is missing."""
        check_catalog(self._settings)
        kind = self._settings.catalog.kind
        try:
            await self._do(partial(import_module, f"pyiceberg.catalog.{kind}"))
        except ImportError as error:
            raise UsageError(f"catalog.kind: {kind} can't be used ({error}): {how_to_add('catalog')}") from error
        return Check(PACKAGE, "ok", f"the extra that {kind} needs is installed")

    async def check_answers(self) -> Check:
        """Open the catalog and look for the database, as a publication does. Raises :class:`CatalogError`."""
        catalog = self._settings.catalog
        properties = plain_properties(catalog)
        database = f"the database {catalog.database}"
        if catalog.kind == "glue":
            self._in_glue = await look_at_glue(self._settings, self._way.own_sessions(), f"trial_{self._run_id}")
            self._has_database = self._in_glue.has_database
        elif catalog.kind == "sql":
            with asking("be opened", properties):
                in_sql = await self._do(partial(look_at_sql, properties["uri"]))
            self._is_writable = in_sql.is_writable
            if not in_sql.has_tables:
                return Check(ANSWERS, "ok", f"{in_sql.name} is no catalog yet: the first publication makes it one")
        await self._open()
        return Check(
            ANSWERS,
            "ok",
            f"it has {database}" if self._has_database else f"{database} is made by the first publication",
        )

    async def check_tables(self) -> Check:
        """See that the tables that are there are this lake's, at their place, and say what engines must know."""
        if self._tables is None or not self._has_database:
            return Check(OURS, "ok", "none is there yet: the first publication makes them")
        wrong, unsaid, there = [], [], []
        for table in TABLES:
            try:
                found = await self._found(table)
            except CatalogError as error:
                wrong.append(str(error))
                continue
            if found is not None:
                there.append(table.name)
                unsaid += [table.name] if found.properties.get(_KEPT) != "false" else []
        wrong += self._in_glue.misfits if self._in_glue else []
        if wrong:
            return Check(OURS, "failed", "; ".join(wrong), "do what is named, or set another database in [catalog]")
        if unsaid:
            detail = f"{named(unsaid)}: {_KEPT} is not false, so an engine may remove the lake's files"
            return Check(
                OURS, "warning", detail, "`ivs-export publish` sets it again; find out which engine changed it"
            )
        return Check(OURS, "ok", f"{counted(len(there), 'table')} of this lake, and no other's")

    async def check_writes(self) -> Check:
        """Say what is known of the permission to write."""
        if self._in_glue is not None:
            if self._in_glue.denials:
                remedy = "allow what is named, as `ivs-export doctor --policy` prints it"
                return Check(WRITES, "failed", named(self._in_glue.denials), remedy)
            detail = (
                "asked for a table that is not there, glue:UpdateTable and glue:DeleteTable were not denied;"
                " glue:CreateTable and glue:CreateDatabase are not asked, for they would make something"
            )
            return Check(WRITES, "skipped", detail)
        if self._is_writable:
            return Check(WRITES, "ok", "the file and its folder can be written")
        return Check(WRITES, "skipped", _NOTHING_IS_WRITTEN)

    async def _open(self) -> None:
        """Open the catalog, and note whether it has the database. Raises :class:`CatalogError`."""
        from exporter.catalog.file_io import opened_for_catalogs  # noqa: PLC0415 - brings PyIceberg, slow to import
        from exporter.catalog.tables import LakeTables  # noqa: PLC0415 - the same

        settings, sessions = self._settings, self._way.own_sessions
        has_sessions = is_on_s3(settings.lake) or needs_aws(settings.catalog)  # else nobody may have any credentials
        make_session = sessions() if has_sessions else AioSession
        store = await self._stack.enter_async_context(open_store(settings.lake, make_session, settings.s3))
        body = await store.read(KEY)
        lake_id = decode_identity(body).id if body else self._run_id  # of no table where there is no lake
        own = await aws_properties(settings, make_session)
        opened = opened_for_catalogs(places_of(settings), store)
        lake, of_files = self._stack.enter_context(opened)
        makes_nothing = {**of_files, **MAKES_NOTHING}
        opening = partial(open_catalog, settings.catalog, own, makes_nothing)
        catalog = await open_in_thread(opening, self._answer_s)
        self._stack.push_async_callback(close_in_thread, catalog)
        secret, database = {**own, **plain_properties(settings.catalog)}, settings.catalog.database
        if self._in_glue is None:
            with asking(f"show the database {database}", secret):
                self._has_database = await self._do(partial(catalog.namespace_exists, database))
        self._tables = LakeTables(catalog, database, lake, lake_id, secret)

    async def _found(self, table: Table) -> IcebergTable | None:
        """The table, which is this lake's; None where there is none. Raises :class:`CatalogError`."""
        assert self._tables is not None, "opened first"  # noqa: S101 - for the type checker
        found = await self._do(partial(self._tables.find, table))
        if found is not None:
            self._tables.check(found, table)
        return found

    async def _do(self, work: Callable[[], Result]) -> Result:
        """Do what blocks in a thread, which the process does not wait for."""
        return await in_thread(DaemonThreads(), self._answer_s, work)
