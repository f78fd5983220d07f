"""A lake, open for questions: its tables and views in a DuckDB of its own, in UTC, with bounded memory, read only.

Four things keep a statement from doing harm, whatever it says: only what reads is run at all; the only files that can
be reached are the lake's (`file_system`), beside spilled data in a temporary folder of the query's own; no extension is
loaded or fetched; and none of these settings can be changed any more.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.errors import ExportError, LakeRefused, QueryFailed, UsageError
from exporter.lake.data_files import scope_in
from exporter.machine.installation import how_to_add
from exporter.query.files import open_files
from exporter.query.statement_check import checked_statement
from exporter.query.stop_switch import QueryStopped, StopSwitch
from exporter.text import one_line
from exporter.views.statements import TABLES, VIEWS, Dates, statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import ModuleType

    import pyarrow as pa

    from exporter.aws.sessions import MakeSession
    from exporter.query.file_system import LakeFileSystem
    from exporter.settings import Settings

#: What can be named in a question.
NAMES = (*TABLES, *VIEWS)
_ONE_SELECT = "a query is one SELECT of DuckDB's SQL, and reads the lake alone"
_MISSING = f"a query needs DuckDB, which is not installed: {how_to_add('query')}"
#: What is taken over from DuckDB at once lies outside its bound of memory.
_ROWS_AT_ONCE = 256
_GIB, _BYTES_MAX = 1 << 30, 1 << 60
#: Leave nothing but the lake within reach, for good.
_SHUT = (
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
# What loses a zone, a sign or its look on the way to Arrow.
_NOT_IN_ARROW = re.compile(r"\b(?:UHUGEINT|BIGNUM|TIME WITH TIME ZONE|BIT)\b")
# How they begin, whatever their class, where memory is used up.
_OUT_OF_MEMORY = "Out of Memory Error"
# What DuckDB's errors end with: the line of the statement, and a mark below it.
_POSITION = re.compile(r"\s*LINE \d+:.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to a question: its columns, and its rows, which are worked out as they are taken, once.

    Taking them raises :class:`QueryFailed`, :class:`QueryStopped` and :class:`LakeError`.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Database:
    """A lake that can be asked. It is `open_database`'s to make, and one thread at a time may ask it."""

    def __init__(
        self,
        duckdb: ModuleType,
        connection: Any,  # noqa: ANN401 - DuckDB's own
        file_system: LakeFileSystem,
        stop: StopSwitch,
    ) -> None:
        self._duckdb = duckdb
        self._connection = connection
        self._file_system = file_system
        self._stop = stop

    @property
    def has_log(self) -> bool:
        """Whether the lake has a commit log."""
        return self._file_system.has_log

    @property
    def files(self) -> Counter[str]:
        """How many files of tables the lake has, by the names of the scopes that they were made for."""
        return Counter(scope_in(key) or "" for sizes in self._file_system.sizes.values() for key in sizes)

    def ask(self, sql: str, values: Mapping[str, Any] | None = None) -> QueryAnswer:
        """Begin to answer one statement, in which ``values`` stand as ``$name``.

        Raises :class:`UsageError` for what is no statement that reads, or names what is not there, and what taking its
        rows raises.
        """
        with self.translated():
            statement = checked_statement(self._duckdb, self._connection, sql)
            reader = _reader_of(_in_arrow(self._connection.sql(statement, params=dict(values) if values else None)))
            return QueryAnswer(reader.schema, self._batches(reader))

    def table(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """The whole answer at once. Raises as `ask`."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import, and loaded with the first answer

        answer = self.ask(sql, values)
        return pa.Table.from_batches(list(answer.batches), answer.schema)

    def make(self, statements: Iterable[str]) -> None:
        """Carry out statements of our own, before the lake is asked. Raises as `ask`."""
        with self.translated():
            for statement in statements:
                self._check_stop()
                self._connection.execute(statement)

    def stop(self) -> None:
        """End what is being answered, from any thread."""
        self._stop.turn_on()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Let what DuckDB raises in this block be an error of the exporter's."""
        self._file_system.failure = None
        try:
            yield
        except ExportError:
            raise
        except Exception as error:
            self._check_stop()
            if self._file_system.failure is not None:
                raise self._file_system.failure from error
            raise _translated(error, self._duckdb) from error

    def _batches(self, reader: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - PyArrow has no types
        while True:
            with self.translated():
                self._check_stop()
                batch = _next_of(reader)
            if batch is None:
                return
            yield batch

    def _check_stop(self) -> None:
        if self._stop.is_on:
            raise QueryStopped("the query was stopped")


@contextmanager
def open_database(
    settings: Settings,
    make_session: MakeSession,
    dates: Dates | None = None,
    *,
    is_stored: bool = False,
    stop: StopSwitch | None = None,
) -> Iterator[Database]:
    """Open the lake of the settings, with what its tables have now, and all views over a range of dates.

    ``is_stored`` works out once what ended which interval, for several questions. ``stop`` can end whatever is under
    way. Raises :class:`UsageError` where DuckDB is missing, :class:`QueryStopped`, :class:`LakeError`, and
    :class:`TemporaryFolderRefused`.
    """
    duckdb, stop = _duckdb(), stop or StopSwitch()
    with stop.folder() as folder, open_files(settings.lake, make_session, settings.s3) as files:
        from exporter.query.file_system import ROOT, LakeFileSystem  # noqa: PLC0415 - fsspec comes with DuckDB

        file_system = LakeFileSystem(files, TABLES)
        tables = _tables_of(settings.lake, file_system)
        with closing(_connection(duckdb, folder, settings.query.memory_gib)) as connection:
            stop.connect(connection.interrupt)
            try:
                connection.register_filesystem(file_system)
                database = Database(duckdb, connection, file_system, stop)
                database.make(statements("duckdb", ROOT, dates, tables, stored=is_stored, snapshot=True))
                database.make([f"SET allowed_directories = ['{ROOT}/']", *_SHUT])
                yield database
            finally:
                stop.connect(lambda: None)


def _tables_of(address: str, file_system: LakeFileSystem) -> list[str]:
    """The tables that have files. Raises :class:`LakeRefused` where no table has any, and there is no log either."""
    tables = [table for table, sizes in file_system.sizes.items() if sizes]
    if not (tables or file_system.has_log):
        raise LakeRefused(f"{address} holds no export: mend --lake, or make one with `ivs-export run`")
    return tables


def check_duckdb() -> None:
    """Raise :class:`UsageError` where DuckDB, or what it needs here, is not installed."""
    _duckdb()


def _duckdb() -> ModuleType:
    try:
        import duckdb  # noqa: PLC0415 - an optional extra, and slow to import
        import fsspec  # noqa: F401, PLC0415 - the same extra
    except ImportError as error:
        raise UsageError(_MISSING) from error
    return duckdb


def _connection(duckdb: ModuleType, folder: str, memory_gib: float) -> Any:  # noqa: ANN401 - DuckDB's own
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": f"{int(max(1.0, min(memory_gib * _GIB, _BYTES_MAX)))}B",
            "temp_directory": folder,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # where no file is the main program it is on, and prints
    return connection


def _in_arrow(result: Any) -> Any:  # noqa: ANN401 - DuckDB's own
    """An answer, of which what Arrow would change is text, as DuckDB writes it."""
    is_text = [_NOT_IN_ARROW.search(str(kind)) is not None for kind in result.types]
    if not any(is_text):
        return result
    columns = (
        f"{f'CAST(#{number} AS VARCHAR)' if has_none else f'#{number}'} AS {_name(name)}"
        for number, (name, has_none) in enumerate(zip(result.columns, is_text, strict=True), 1)
    )
    return result.project(", ".join(columns))


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _reader_of(result: Any) -> Any:  # noqa: ANN401 - DuckDB's own
    """An answer as Arrow's reader, under the name that this version of DuckDB has for it."""
    method = getattr(result, "to_arrow_reader", None) or result.fetch_record_batch
    return method(_ROWS_AT_ONCE)


def _next_of(reader: Any) -> pa.RecordBatch | None:  # noqa: ANN401 - PyArrow has no types
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _translated(error: Exception, duckdb: ModuleType) -> ExportError:
    """What an error of DuckDB's is to the user."""
    said = one_line(_POSITION.sub("", str(error)))
    if isinstance(error, MemoryError) or said.startswith(_OUT_OF_MEMORY):
        return QueryFailed(
            f"the query needs more memory than it may take ({said.partition(' Possible solutions')[0]}): ask for fewer"
            " dates (--since, --until) or shorter values, or raise --memory-gib"
        )
    if isinstance(error, duckdb.InterruptException):
        return QueryStopped("the query was stopped")
    if isinstance(error, (duckdb.IOException, duckdb.InvalidInputException)) and ".parquet" in said:
        from exporter.query.file_system import ROOT  # noqa: PLC0415 - fsspec comes with DuckDB

        said = said.replace(f"{ROOT}/", "")  # which is no place that anybody else knows
        return LakeRefused(f"a file of the lake can't be read ({said}): `ivs-export verify` says what can be done")
    hints = (
        (duckdb.CatalogException, UsageError, f"{said}; `ivs-export query` alone lists the tables and views"),
        (duckdb.BinderException, UsageError, f"{said}; `DESCRIBE` before a name shows its columns"),
        (duckdb.ParserException, UsageError, f"{said}; {_ONE_SELECT}"),
        (duckdb.PermissionException, UsageError, f"{said}; {_ONE_SELECT}"),
        (duckdb.ConversionException, QueryFailed, f"DuckDB can't answer: {said}; TRY_CAST makes such values null"),
    )
    for raised, meant, message in hints:
        if isinstance(error, raised):
            return meant(message)
    return QueryFailed(f"DuckDB can't answer: {said}")
