"""A lake, open for questions: its tables and views in a DuckDB of its own, in UTC, with bounded memory, read only.

Four things keep a statement from doing harm, whatever it says: only what reads is run at all; the only files that can
be reached are the lake's (`file_system`), beside spilled data in a temporary folder of the query's own; no extension is
loaded or fetched; and none of these settings can be changed any more.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exporter.errors import ExportError, LakeRefused, QueryFailed, TemporaryFolderRefused, UsageError
from exporter.query.files import open_files
from exporter.text import one_line
from exporter.views.statements import TABLES, VIEWS, Dates, statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    import pyarrow as pa

    from exporter.aws.sessions import MakeSession
    from exporter.query.file_system import LakeFileSystem
    from exporter.query.files import LakeFiles
    from exporter.settings import Settings

#: What can be named in a question.
NAMES = (*TABLES, *VIEWS)
_MISSING = "a query needs DuckDB, which is not installed: pip install 'ivs-export[query]'"
_READING = frozenset({"SELECT", "EXPLAIN", "MULTI"})  # DuckDB calls a PIVOT by the last name
_ROWS_AT_ONCE = 2_048
_GIB, _BYTES_MAX = 1 << 30, 1 << 60
# What DuckDB's errors end with: the line of the statement, and a mark below it.
_POSITION = re.compile(r"\s*LINE \d+:.*", re.DOTALL)


class QueryStopped(QueryFailed):
    """A question was asked to end before it was answered."""

    kind = "stopped"


class Database:
    """A lake that can be asked. It is `open_database`'s to make, and one thread at a time may ask it."""

    def __init__(self, duckdb: ModuleType, connection: Any, file_system: LakeFileSystem) -> None:  # noqa: ANN401 - DuckDB's own
        self._duckdb = duckdb
        self._connection = connection
        self._file_system = file_system
        self._is_stopped = False

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
        """Answer one statement, in batches with the same columns, of which there is always one.

        ``values`` stand in it as ``$name``. What is not asked for any more is not worked out. Raises
        :class:`UsageError` for what is no statement that reads, or names what is not there; while it is answered
        :class:`QueryFailed`, :class:`QueryStopped` and :class:`LakeError`.
        """
        with self._translated():
            statement = self._checked(sql)
            reader = _reader_of(self._connection.sql(statement, params=dict(values) if values else None))
            yield _empty(reader.schema)
            while (batch := _next_of(reader)) is not None:
                yield batch

    def table(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """The whole answer at once. Raises as `rows`."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import, and loaded with the first answer

        return pa.Table.from_batches(list(self.rows(sql, values)))

    def stop(self) -> None:
        """End what is being answered, from any thread: that raises :class:`QueryStopped` where it waits."""
        self._is_stopped = True
        self._connection.interrupt()

    def _checked(self, sql: str) -> Any:  # noqa: ANN401 - DuckDB's own
        """The one statement in a text, which reads."""
        found = self._connection.extract_statements(sql)
        if len(found) != 1:
            what = "no statement" if not found else f"{len(found)} statements"
            raise UsageError(f"{what} where one is asked for: a query is one SELECT")
        if found[0].type.name not in _READING:
            raise UsageError(f"{found[0].type.name} is refused: a query reads the lake, and changes nothing")
        return found[0]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        self._file_system.failure = None
        try:
            yield
        except ExportError:
            raise
        except Exception as error:
            if self._is_stopped:
                raise QueryStopped("the query was stopped") from error
            if self._file_system.failure is not None:
                raise self._file_system.failure from error
            raise _translated(error, self._duckdb) from error


@contextmanager
def open_database(
    settings: Settings, make_session: MakeSession, dates: Dates | None = None, *, is_stored: bool = False
) -> Iterator[Database]:
    """Open the lake of the settings, with what its tables have now, and all views over a range of dates.

    ``is_stored`` works out once what ended which interval, for several questions. Raises :class:`UsageError` where
    DuckDB is missing, :class:`LakeError`, and :class:`TemporaryFolderRefused`.
    """
    duckdb = _duckdb()
    with _folder() as folder, open_files(settings.lake, make_session, settings.s3) as files:
        from exporter.query.file_system import LakeFileSystem  # noqa: PLC0415 - needs fsspec, which comes with DuckDB

        file_system = LakeFileSystem(files, TABLES)
        tables = _tables_of(settings.lake, files, file_system)
        connection = _connection(duckdb, file_system, folder, settings.query.memory_gib)
        try:
            database = Database(duckdb, connection, file_system)
            with database._translated():  # noqa: SLF001 - the same errors come while it is made
                for statement in statements("duckdb", _root(), dates, tables, stored=is_stored):
                    connection.execute(statement)
                _shut(connection)
            yield database
        finally:
            connection.close()


def _tables_of(address: str, files: LakeFiles, file_system: LakeFileSystem) -> list[str]:
    """The tables that have files. Raises :class:`LakeRefused` where no table has any, and there is no log either."""
    tables = [table for table, sizes in file_system.sizes.items() if sizes]
    if not (tables or files.has_log()):
        raise LakeRefused(f"{address} holds no export: mend --lake, or make one with `ivs-export run`")
    return tables


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an optional extra, and slow to import
        import fsspec  # noqa: F401, PLC0415 - the same extra
    except ImportError as error:
        raise UsageError(_MISSING) from error
    return duckdb


@contextmanager
def _folder() -> Iterator[str]:
    """A temporary folder for what does not fit into memory."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="ivs-export-query-", ignore_cleanup_errors=True)
    except OSError as error:
        raise TemporaryFolderRefused(
            f"no temporary folder can be made ({one_line(error.strerror)}): set TMPDIR to one that can be written"
        ) from error
    with folder as name:
        yield name


def _connection(duckdb: ModuleType, file_system: LakeFileSystem, folder: str, memory_gib: float) -> Any:  # noqa: ANN401 - DuckDB's own
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": f"{int(max(1.0, min(memory_gib * _GIB, _BYTES_MAX)))}B",
            "temp_directory": folder,
        },
    )
    connection.register_filesystem(file_system)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _shut(connection: Any) -> None:  # noqa: ANN401 - DuckDB's own
    """Leave nothing but the lake within reach, for good."""
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_directories = ['{_root()}/']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _root() -> str:
    from exporter.query.file_system import ROOT  # noqa: PLC0415 - needs fsspec

    return ROOT


def _reader_of(result: Any) -> Any:  # noqa: ANN401 - DuckDB's own
    """An answer as Arrow's reader, under the name that this version of DuckDB has for it."""
    method = getattr(result, "to_arrow_reader", None) or result.fetch_record_batch
    return method(_ROWS_AT_ONCE)


def _next_of(reader: Any) -> pa.RecordBatch | None:  # noqa: ANN401 - PyArrow has no types
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _empty(schema: Any) -> pa.RecordBatch:  # noqa: ANN401 - PyArrow has no types
    import pyarrow as pa  # noqa: PLC0415 - loaded already

    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _translated(error: Exception, duckdb: ModuleType) -> ExportError:
    """What an error of DuckDB's is to the user."""
    said = one_line(_POSITION.sub("", str(error)))
    if isinstance(error, duckdb.InterruptException):
        return QueryStopped("the query was stopped")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed(
            f"the query needs more memory than it may take ({said}): ask for fewer dates (--since, --until), or raise"
            " --memory-gib"
        )
    if isinstance(error, duckdb.CatalogException):
        return UsageError(f"{said}; `ivs-export query` alone lists the tables and views")
    if isinstance(error, (duckdb.ParserException, duckdb.BinderException, duckdb.PermissionException)):
        return UsageError(said)
    if isinstance(error, (duckdb.IOException, duckdb.InvalidInputException)) and ".parquet" in said:
        return LakeRefused(f"a file of the lake can't be read ({said}): `ivs-export verify` says what can be done")
    return QueryFailed(f"DuckDB can't answer: {said}")
