"""Data files as a table lists them: where they lie, their partition, and between which values each column lies.

All of it is read from the footer, and compared with what the log says. The partition is the log's date: a footer
without bounds would give none, and a row could then not be found by its day.
"""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile as ListedFile
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.typedef import Record as PartitionRecord

from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.file_ends import damaged
from exporter.catalog.schemas import iceberg_schema, misfits_of, shapes_of
from exporter.lake.arrow import pq
from exporter.lake.parquet_footer import footer_alone
from exporter.lake.tables import table_named
from exporter.lake.thrift import ThriftUnreadableError
from exporter.timestamps import EPOCH

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata

    from exporter.catalog.changes import LoggedFile

_EPOCH = EPOCH.date()


class FileLister:
    """Describes data files as one table lists them; ``metadata`` is the table's.

    What is the same for all files is worked out once: nearly all have the same columns.
    """

    def __init__(self, metadata: TableMetadata) -> None:
        self._metadata = metadata
        self._schema = metadata.schema()
        self._statistics = compute_statistics_plan(self._schema, metadata.properties)
        self._paths = parquet_path_to_id_mapping(self._schema)
        self._fitting: pa.Schema | None = None

    def listed(self, file: LoggedFile, end: bytes, url: str) -> ListedFile:
        """A data file as the table lists it; ``end`` is what `read_end` read.

        Raises :class:`FileDamaged` where the file is not what the log says of it, and :class:`CatalogMismatch` where
        its columns are not the table's.
        """
        try:
            opened = pq.ParquetFile(BytesIO(footer_alone(end, file.size_bytes)))
        except (ThriftUnreadableError, OSError) as error:
            raise damaged(file, str(error)) from error
        # Not `footer.schema`: that one and the footer hold each other, 50 KiB a file until the garbage collector comes.
        footer, columns = opened.metadata, opened.schema_arrow
        if footer.num_rows != file.rows:
            raise damaged(file, f"it has {footer.num_rows:,} rows, and the log says {file.rows:,}")
        if self._fitting is None or not columns.equals(self._fitting, check_metadata=True):
            _check_columns(file, columns, self._schema)
            self._fitting = columns
        statistics = data_file_statistics_from_parquet_metadata(
            parquet_metadata=footer, stats_columns=self._statistics, parquet_column_mapping=self._paths
        )
        return ListedFile.from_args(
            content=DataFileContent.DATA,
            file_path=url,
            file_format=FileFormat.PARQUET,
            partition=_partition(file, footer, self._metadata),
            file_size_in_bytes=file.size_bytes,
            sort_order_id=None,
            spec_id=self._metadata.default_spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )


def _check_columns(file: LoggedFile, columns: pa.Schema, schema: Schema) -> None:
    """See that each column of the file is one of the table's, by its id, name and type."""
    try:
        found = iceberg_schema(columns)
    except ValueError as error:
        raise CatalogMismatch(f"{file.key} has columns without field ids", "restore it, or set it aside") from error
    if newer := shapes_of(found).keys() - shapes_of(schema).keys():
        names = ", ".join(sorted(shapes_of(found)[field_id].name for field_id in newer))
        raise CatalogMismatch(f"{file.key} has columns that this ivs-export does not know ({names})", "use a newer one")
    if misfits := misfits_of(schema, found):
        raise CatalogMismatch(f"{file.key} has other columns than the table: {misfits[0]}")
    table = table_named(file.table)
    if (
        table is not None and table.date_columns[0] not in columns.names
    ):  # later columns may be missing, this one was first
        raise damaged(file, f"it has no column {table.date_columns[0]}")


def _partition(file: LoggedFile, footer: Any, metadata: TableMetadata) -> PartitionRecord:  # noqa: ANN401 - the same
    """The values of the partition's fields: the day that the log says, which all rows must be of."""
    fields = metadata.spec().fields
    if not fields:
        return PartitionRecord()
    day = date.fromisoformat(file.date)
    table = table_named(file.table)
    column = "" if table is None else table.date_columns[0]
    for moment in _bounds(footer, column):
        if moment.date() != day:
            raise damaged(file, f"it has a row of {moment.date()}, and the log says that all are of {day}")
    return PartitionRecord((day - _EPOCH) // timedelta(days=1))


def _bounds(footer: Any, column: str) -> list[Any]:  # noqa: ANN401 - the same
    """The least and the greatest time of a column in each row group, where the footer says them."""
    found = []
    for group in range(footer.num_row_groups):
        chunks = (footer.row_group(group).column(index) for index in range(footer.num_columns))
        chunk = next(chunk for chunk in chunks if chunk.path_in_schema == column)
        if chunk.is_stats_set and chunk.statistics.has_min_max:
            found += [chunk.statistics.min, chunk.statistics.max]
    return found
