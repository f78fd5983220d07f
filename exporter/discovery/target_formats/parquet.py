"""Lists in Parquet, read in batches that are bounded in bytes, whatever the file says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any

from exporter.discovery.target_formats.columns import cell, find_columns, shown
from exporter.discovery.target_formats.names import COLUMNS
from exporter.errors import ExportError
from exporter.lake.parquet_footer import chunks_of
from exporter.lake.parquet_pages import (
    DELTA_LENGTH_BYTE_ARRAY,
    DICTIONARY_PAGE,
    PLAIN,
    PLAIN_DICTIONARY,
    RLE_DICTIONARY,
    page_sizes,
)
from exporter.text import NAME_LENGTH_MAX, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.discovery.target_formats.columns import Columns, OtherColumn, Row
    from exporter.discovery.target_formats.text import InputPosition
    from exporter.lake.parquet_pages import PageSize

_BATCH_ROWS = 65_536
#: What a batch of one column takes at most, but for the pages at its ends.
_BATCH_BYTES = 32 << 20
# Most writers end a page after a mebibyte; DuckDB's holds a column of a whole row group.
_PAGE_BYTES_MAX = 128 << 20
_READ_BYTES = 1 << 20
_FOOTER_TEXT_BYTES_MAX = 16 << 20
_VALUE_BYTES_MAX = 4_096
_DICTIONARIES = frozenset({PLAIN_DICTIONARY, RLE_DICTIONARY})


def parquet_rows(position: InputPosition, file: IO[bytes], stage_arn: str | None) -> Iterator[Row]:
    """The rows of a Parquet file, counted from 1; ``stage_arn`` is the stage where no column names one."""
    try:
        yield from _rows(position, file, stage_arn)
    except ExportError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever pyarrow makes of a file that may hold anything
        position.line = 0
        reason = one_line(error, NAME_LENGTH_MAX)
        raise position.refusal(f"not Parquet that can be read: {reason or type(error).__name__}") from None


def _rows(position: InputPosition, file: IO[bytes], stage_arn: str | None) -> Iterator[Row]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, and the other forms do without

    footer = pq.ParquetFile(file, thrift_string_size_limit=_FOOTER_TEXT_BYTES_MAX)
    columns = _columns(position, footer.schema_arrow, stage_arn)
    indices = columns.indices
    schema_names = footer.schema_arrow.names
    names = [schema_names[index] for index in indices if index is not None]
    pages = {name: _pages(file, footer.schema, name) for name in names}
    for name in names:
        _check_pages(position, name, pages[name])
    for other in columns.others:
        _check_other(position, file, footer, other)
    for batch in _batches(file, pages):
        texts = [
            repeat(None, batch.num_rows)
            if index is None
            else _texts(position, batch.column(schema_names[index]), column)
            for index, column in zip(indices, COLUMNS, strict=True)
        ]
        for values in zip(*texts, strict=True):
            position.line += 1
            stage, session, participant = (cell(value or "") for value in values)
            if indices[0] is None and not session:
                raise position.refusal("session_id is missing")
            yield stage_arn or "" if indices[0] is None else stage, session, participant


def _batches(file: IO[bytes], pages: dict[str, _Pages]) -> Iterator[Any]:
    """The columns that ``pages`` names, as many rows at a time as their texts allow."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

    parquet = pq.ParquetFile(
        file,
        read_dictionary=[name for name, found in pages.items() if found.is_dictionary],
        buffer_size=_READ_BYTES,
        thrift_string_size_limit=_FOOTER_TEXT_BYTES_MAX,
    )
    rows = min(found.batch_rows for found in pages.values())
    return parquet.iter_batches(rows, columns=list(pages), use_threads=False)  # type: ignore[no-any-return]


def _check_other(position: InputPosition, file: IO[bytes], footer: Any, other: OtherColumn) -> None:  # noqa: ANN401 - pyarrow has no types
    """Refuse a column beside the three whose cells look like the ids that are missing, with the row of the first.

    It is read alone, before the rows are, so that memory does not depend on how many such columns there are. Pages that
    are too long to be read at once hold no ids, and are passed over.
    """
    kind = footer.schema_arrow.field(other.index).type
    if other.counts is not None and _is_nested(kind) and (flaw := other.flaw([])) is not None:
        raise position.refusal(flaw)
    if not _is_text(kind):
        return
    pages = _pages(file, footer.schema, other.name)
    if pages.page_bytes > _PAGE_BYTES_MAX:
        return
    for batch in _batches(file, {other.name: pages}):
        for values in batch.columns:
            if (wrong := _first_flaw(values, other)) is not None:
                position.line += wrong[0]
                raise position.refusal(wrong[1])
        position.line += batch.num_rows
    position.line = 0


def _first_flaw(values: Any, other: OtherColumn) -> tuple[int, str] | None:  # noqa: ANN401 - the same
    """The first cell with a flaw, counted from 1, and the flaw; each text of a dictionary is looked at once."""
    import pyarrow.types as pt  # noqa: PLC0415 - slow to import

    if not pt.is_dictionary(values.type):
        flaws = map(other.flaw, values.to_pylist())
        return next(((number, flaw) for number, flaw in enumerate(flaws, 1) if flaw is not None), None)
    used = values.indices.unique().drop_null()
    texts = zip(used.to_pylist(), values.dictionary.take(used).to_pylist(), strict=True)
    wrong = {index: flaw for index, text in texts if (flaw := other.flaw(text)) is not None}
    if not wrong:
        return None
    return next((number, wrong[index]) for number, index in enumerate(values.indices.to_pylist(), 1) if index in wrong)


def _columns(position: InputPosition, schema: Any, stage_arn: str | None) -> Columns:  # noqa: ANN401 - pyarrow has no types
    names: list[str] = schema.names
    try:
        columns = find_columns(names)
    except ValueError as error:
        raise position.refusal(str(error)) from None
    indices = columns.indices
    if indices[0] is None and (stage_arn is None or indices[1] is None):
        found = ", ".join(map(shown, names[:4])) + (", …" if len(names) > len("four") else "")
        raise position.refusal(f"there is no column stage_arn, but {found or 'no column at all'}")
    for index, column in zip(indices, COLUMNS, strict=True):
        if index is not None and not _is_text(schema.field(index).type):
            raise position.refusal(f"the column {column} is {schema.field(index).type}, not text")
    return columns


@dataclass(frozen=True, slots=True)
class _Pages:
    """A column's longest page, and how it is read: as a dictionary, each text once, and and how many rows at a time."""

    page_bytes: int
    is_dictionary: bool
    batch_rows: int


def _pages(file: IO[bytes], schema: Any, name: str) -> _Pages:  # noqa: ANN401 - pyarrow has no types
    """Look at the headers of all pages of a column, up to the first of no bearable length.

    A plain page is as long unpacked as its values together. Of a dictionary each value may stand in every row, but it
    is kept once. In any other encoding a value of some bytes may be as long as its page.
    """
    page_bytes = row_bytes = 1
    encodings = set()
    for page in _all_pages(file, schema, name):
        page_bytes = max(page_bytes, page.size_bytes)
        if page_bytes > _PAGE_BYTES_MAX:
            break
        if page.kind == DICTIONARY_PAGE:
            continue
        encodings.add(page.encoding)
        if page.encoding not in _DICTIONARIES:
            row_bytes = max(row_bytes, page.size_bytes // max(page.values, 1))
    is_dictionary = bool(encodings & _DICTIONARIES) and encodings <= _DICTIONARIES | {PLAIN}
    if not is_dictionary and not encodings <= {PLAIN, DELTA_LENGTH_BYTE_ARRAY}:
        row_bytes = page_bytes
    return _Pages(page_bytes, is_dictionary, max(1, min(_BATCH_ROWS, _BATCH_BYTES // row_bytes)))


def _check_pages(position: InputPosition, name: str, pages: _Pages) -> None:
    if pages.page_bytes > _PAGE_BYTES_MAX:
        raise position.refusal(
            f"the column {shown(name)} has a page of {pages.page_bytes:,} bytes, and more than"
            f" {_PAGE_BYTES_MAX:,} are not read at once: no list of ids needs them"
        )


def _all_pages(file: IO[bytes], schema: Any, name: str) -> Iterator[PageSize]:  # noqa: ANN401 - the same
    paths = [schema.column(index).path for index in range(len(schema))]
    for leaf in (leaf for leaf, path in enumerate(paths) if path == name):
        for chunk in chunks_of(file, leaf, len(paths)):
            if chunk.values > 0:
                yield from page_sizes(file, chunk.offset, chunk.size_bytes)


def _texts(position: InputPosition, values: Any, column: str) -> list[str | None]:  # noqa: ANN401 - the same
    """A batch's values of one column."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    import pyarrow.compute as pc  # noqa: PLC0415 - the same

    if pa.types.is_dictionary(values.type):
        lengths = pc.binary_length(values.dictionary)
        if (pc.max(lengths).as_py() or 0) > _VALUE_BYTES_MAX:
            _refuse_long(position, values, lengths.to_pylist(), column)
    texts: list[str | None] = values.cast(pa.string()).to_pylist()
    return texts


def _refuse_long(position: InputPosition, values: Any, lengths: list[int | None], column: str) -> None:  # noqa: ANN401 - the same
    """Refuse the first row whose text is too long for an id; each row would hold a copy of it."""
    for number, index in enumerate(values.indices.to_pylist(), 1):
        length = 0 if index is None else lengths[index] or 0
        if length > _VALUE_BYTES_MAX:
            position.line += number
            raise position.refusal(f"{column} is a text of {length:,} bytes, which is no id")


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    import pyarrow.types as pt  # noqa: PLC0415 - slow to import

    value = kind.value_type if pt.is_dictionary(kind) else kind
    return bool(pt.is_string(value) or pt.is_large_string(value) or pt.is_string_view(value) or pt.is_null(value))


def _is_nested(kind: Any) -> bool:  # noqa: ANN401 - the same
    import pyarrow.types as pt  # noqa: PLC0415 - slow to import

    return bool(pt.is_nested(kind))
