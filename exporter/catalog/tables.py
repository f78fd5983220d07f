"""The lake's tables in a catalog: found, made, checked, and set right where nothing rests on what is wrong.

An engine owns what it lists: it removes files that it takes for useless. So a table says ``gc.enabled=false`` and has a
place of its own, which is not that of the lake's files; both are looked at each time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchIcebergTableError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionSpec

from exporter.catalog.errors import CatalogError, CatalogMismatch
from exporter.catalog.file_io import OwnFileGone
from exporter.catalog.foreign_errors import asking
from exporter.catalog.schemas import is_older, is_spec, misfits_of, schema_of, spec_of
from exporter.catalog.transaction import is_rolled_back
from exporter.catalog.updates import planned_on, set_schema, set_spec
from exporter.machine.clock import wall_us
from exporter.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.file_io import OpenLake
    from exporter.lake.tables.table import Table

#: The property that says whose table it is.
LAKE_ID = "ivs-export.lake"
#: What an engine must know, and how a table is kept. PyIceberg's own second tries do not look whether a file is listed
#: already, so it has none. The bounds of the columns that rows are sorted by are whole: cut short, an ARN says nothing.
KEPT_PROPERTIES = {
    "gc.enabled": "false",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "write.metadata.metrics.column.stage_arn": "full",
    "write.metadata.metrics.column.session_id": "full",
    "write.metadata.metrics.column.participant_id": "full",
}
#: Which column has which id, for files that do not say so; a catalog that numbers by itself says it wrong.
_NAMES = "schema.name-mapping.default"
_TRIES_MAX = 10
_AHEAD_S_MAX = 60


class DescriptionGone(CatalogMismatch):
    """A table's own files are gone from the lake, and its entry in the catalog points to them."""


@dataclass(frozen=True, slots=True)
class LakeTables:
    """The tables of one lake in a catalog. All methods block.

    ``lake_id`` is the lake's own. ``properties`` are those that the catalog was opened with: no error shows their
    values. ``numbers_itself`` says that the catalog's server may number a new table's columns in its own order.
    ``machine_us`` is the clock by which PyIceberg dates what it commits.
    """

    catalog: Catalog
    database: str
    lake: OpenLake
    lake_id: str
    properties: Mapping[str, str]
    numbers_itself: bool = False
    machine_us: Callable[[], int] = wall_us

    def location_of(self, table: Table) -> str:
        """Where a table keeps what describes it: apart from the lake's files."""
        return f"{self.lake.places.tables}/{table.name}"

    def find(self, table: Table) -> IcebergTable | None:
        """The table as the catalog has it, whosever it is; None where there is none.

        Raises `DescriptionGone` for one of this lake's whose own files are gone, and :class:`CatalogError`.
        """
        with asking(f"show {self._name(table)}", self.properties):
            try:
                return self.catalog.load_table((self.database, table.name))
            except NoSuchIcebergTableError as error:
                raise self._not_ours(table, "it is no Iceberg table") from error
            except NoSuchTableError:
                return None
            except OwnFileGone as error:
                raise DescriptionGone(f"{self._name(table)} is listed, and {error.location} is gone") from error
            except FileNotFoundError as error:  # not below this lake: nobody knows whose it is
                raise CatalogMismatch(
                    f"{self._name(table)} is described outside of this lake, where nothing is: was the lake moved?",
                    "take its entry out by the catalog's own means, or set another `database` in [catalog]",
                ) from error

    def open(self, table: Table) -> IcebergTable:
        """The table, made where it is missing, and as it must be.

        Raises :class:`CatalogMismatch` where it is another's, or has other columns, and :class:`CatalogError`.
        """
        for _ in range(_TRIES_MAX):
            found = self.find(table)
            if found is None:
                self._create(table)
            elif self._is_set_right(found, table):
                return found
        raise CatalogError(f"{self._name(table)} is changed by others all the time")

    def open_anew(self, table: Table) -> IcebergTable:
        """The table, good for all files of the log to be listed anew; its entry is made again where it does not fit.

        Raises :class:`CatalogMismatch` where it is another lake's, and :class:`CatalogError`.
        """
        try:
            return self.open(table)
        except CatalogMismatch:
            self.drop(table)
            return self.open(table)

    def drop(self, table: Table) -> bool:
        """Take the table's entry away, and no file; False where there is none.

        Raises :class:`CatalogMismatch` for a table that is not this lake's, and :class:`CatalogError`.
        """
        with suppress(DescriptionGone):
            found = self.find(table)
            if found is None:
                return False
            if not self.is_ours(found, table):
                raise self._not_ours(table, f"its location is {quoted(found.location())}")
        with asking(f"drop {self._name(table)}", self.properties):
            self.catalog.drop_table((self.database, table.name))
        return True

    def is_ours(self, found: IcebergTable, table: Table) -> bool:
        """Whether a table was made of this lake, here or where the lake was before.

        At a place below the lake it is, whatever id the lake had then; elsewhere two lakes may have named one place.
        """
        lake_id = found.properties.get(LAKE_ID)
        is_here = found.location().rstrip("/") == self.location_of(table)
        is_below = self.location_of(table).startswith(f"{self.lake.places.lake}/")
        return lake_id == self.lake_id or (is_here and (is_below or lake_id is None))

    def check(self, found: IcebergTable, table: Table) -> None:
        """Raise :class:`CatalogMismatch` where a table is not this lake's, or not at its place."""
        location = found.location().rstrip("/")
        if not self.is_ours(found, table):
            raise self._not_ours(table, f"its location is {quoted(location)}")
        if location != self.location_of(table):
            raise CatalogMismatch(
                f"{self._name(table)} was made at {quoted(location)}, and the lake is at {self.lake.places.lake}"
            )
        if (lake_id := found.properties.get(LAKE_ID)) not in {None, self.lake_id}:
            raise CatalogMismatch(f"{self._name(table)} was made when the lake had another id ({quoted(str(lake_id))})")
        if is_rolled_back(found):
            raise CatalogMismatch(f"{self._name(table)} was rolled back by an engine, and lacks files that it had")
        if found.current_snapshot() is None:
            return
        wanted = schema_of(table)
        if (misfits := misfits_of(found.schema(), wanted)) and not is_older(found.schema(), wanted):
            more = f" and {len(misfits) - 1} more" if len(misfits) > 1 else ""
            raise CatalogMismatch(f"{self._name(table)} has other columns than the lake's files: {misfits[0]}{more}")

    def _create(self, table: Table) -> None:
        with asking(f"make {self._name(table)}", self.properties):
            if not self.catalog.namespace_exists(self.database):
                with suppress(NamespaceAlreadyExistsError):  # another publisher was faster
                    self.catalog.create_namespace(self.database)
            try:
                self.catalog.create_table(
                    (self.database, table.name),
                    schema_of(table),
                    location=self.location_of(table),
                    # Else a partition could be of whichever column has the number now.
                    partition_spec=PartitionSpec() if self.numbers_itself else spec_of(table),
                    properties={
                        **KEPT_PROPERTIES,
                        LAKE_ID: self.lake_id,
                        _NAMES: schema_of(table).name_mapping.model_dump_json(),
                    },
                )
            except TableAlreadyExistsError as error:
                if self.find(table) is None:
                    raise self._not_ours(table, "it is no Iceberg table") from error

    def _is_set_right(self, found: IcebergTable, table: Table) -> bool:
        """Whether a table is as it must be; where it can be set right, it is, and must be looked at again."""
        self.check(found, table)
        self._check_clock(found, table)
        transaction, wanted = planned_on(found), schema_of(table)
        kept = {**KEPT_PROPERTIES, LAKE_ID: self.lake_id}
        changed = {name: value for name, value in kept.items() if found.properties.get(name) != value}
        if changed:
            transaction.set_properties(changed)
        is_changed = bool(misfits_of(found.schema(), wanted))
        if is_changed:
            set_schema(transaction, wanted)
        if is_changed or _NAMES not in found.properties:
            transaction.set_properties({_NAMES: wanted.name_mapping.model_dump_json()})
        if not is_spec(found.spec(), table):
            set_spec(transaction, spec_of(table))
        if not transaction._updates:  # noqa: SLF001 - what there is to commit
            return True
        with asking(f"set {self._name(table)} right", self.properties), suppress(CommitFailedException):
            transaction.commit_transaction()  # else another publisher was faster
        return False

    def _check_clock(self, found: IcebergTable, table: Table) -> None:
        """See that a commit of now does not come before the last one: engines would read the table no more.

        Source: Iceberg's TableMetadata (Java, Rust, Go): times may go back by a minute between two versions.
        """
        last_ms = max([found.metadata.last_updated_ms, *(entry.timestamp_ms for entry in found.history()[-1:])])
        ahead_s = (last_ms - self.machine_us() // 1_000) // 1_000
        if ahead_s >= _AHEAD_S_MAX:
            raise CatalogMismatch(
                f"{self._name(table)} was changed {ahead_s:,} s ahead of this machine's clock",
                "set that right; if it is, `ivs-export publish --rebuild` makes the table anew",
            )

    def _not_ours(self, table: Table, reason: str) -> CatalogMismatch:
        return CatalogMismatch(
            f"{self._name(table)} is not of the lake {self.lake.places.lake}: {reason}",
            "set another `database` in [catalog], or remove that table",
        )

    def _name(self, table: Table) -> str:
        return f"the table {self.database}.{table.name}"
