"""A list of what to export: CSV, JSON Lines or Parquet, with the columns stage_arn, session_id and participant_id.

A row without the later ones (missing, empty or null) stands for all below it, and a broader row swallows the narrower.
Other columns are passed over, so that any query's result will do. The form is told by the content, not by the name:
Parquet by its magic bytes, JSON Lines by a ``{`` that comes first, CSV (with a header) else. Text is UTF-8.
"""

from __future__ import annotations

import csv
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from exporter.domain import REGIONS, Scope, is_participant_id, is_session_id, scope_of
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: ``stage_arn``, ``session_id`` and ``participant_id`` as text; empty ones stand for all.
Row = tuple[str, str, str]
_COLUMNS = ("stage_arn", "session_id", "participant_id")

_PARQUET_MAGIC = b"PAR1"
_BOM = b"\xef\xbb\xbf"
# A row has three ids of 128 bytes at most; the rest is room for columns that are passed over.
_LINE_BYTES_MAX = 1 << 20
_BATCH_ROWS = 65_536
_SHOWN_LENGTH_MAX = 60


class Targets:
    """What a list names: stages, sessions and participants, each once and sorted.

    Held compactly, for a list may have millions of rows: the participants of a session are one text, their ids joined
    by spaces, and an empty text stands for all of them.
    """

    def __init__(self, stages: dict[str, dict[str, str]]) -> None:
        """``stages``: by ARN, the joined participants of each session; no session means all."""
        self._stages = stages

    def scopes(self) -> list[Scope]:
        """The accounts and regions of the stages."""
        return sorted({scope for arn in self._stages if (scope := scope_of(arn))})

    def stages(self, scope: Scope) -> list[str]:
        """The ARNs of the stages in a scope."""
        return sorted(arn for arn in self._stages if scope_of(arn) == scope)

    def sessions(self, stage_arn: str) -> list[str] | None:
        """The ids of a stage's sessions; None stands for all of them."""
        return sorted(self._stages[stage_arn]) or None

    def participants(self, stage_arn: str, session_id: str) -> list[str] | None:
        """The ids of a session's participants; None stands for all of them."""
        sessions = self._stages[stage_arn]
        if joined := sessions.get(session_id):
            return joined.split(" ")
        return [] if sessions and session_id not in sessions else None

    @property
    def count(self) -> int:
        """How many stages, sessions and participants are named that nothing broader swallowed."""
        by_stage = (
            sum(joined.count(" ") + 1 for joined in sessions.values()) or 1 for sessions in self._stages.values()
        )
        return sum(by_stage)


def read(path: str) -> Targets:
    """The list in a file, or on standard input for ``-``.

    Raises :class:`UsageError`, which names the file, the line and the reason.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            if sys.stdin is None:
                raise UsageError("standard input is closed")
            return _gather(name, _rows(name, sys.stdin.buffer))
        with open(path, "rb") as file:  # noqa: PTH123 - a text that is no path, such as one with a NUL, fails here alike
            return _gather(name, _rows(name, file))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"the list of targets {_shown(name)} can't be read: {reason}") from None


def _gather(name: str, rows: Iterator[tuple[int, Row]]) -> Targets:
    """Check every row and put it in its place. Rows come with their line's number."""
    stages: dict[str, dict[str, bytearray] | None] = {}
    for number, row in rows:
        if (flaw := _flaw(row)) is not None:
            raise UsageError(f"{name}:{number}: {flaw}")
        _put(stages, row)
    if not stages:
        raise UsageError(f"{name} names no targets")
    return Targets({arn: _packed(sessions) for arn, sessions in sorted(stages.items())})


def _put(stages: dict[str, dict[str, bytearray] | None], row: Row) -> None:
    """Add a row. A stage of None stands for all its sessions, a session's empty bytes for all its participants."""
    stage_arn, session_id, participant_id = row
    if not session_id:
        stages[stage_arn] = None
        return
    sessions = stages.setdefault(stage_arn, {})
    if sessions is None:
        return
    if not participant_id:
        sessions[session_id] = bytearray()
        return
    joined = sessions.get(session_id)
    if joined is None:
        sessions[session_id] = bytearray(participant_id.encode())
    elif joined:
        joined += b" " + participant_id.encode()


def _packed(sessions: dict[str, bytearray] | None) -> dict[str, str]:
    """The participants of each session sorted, each once."""
    return {
        session_id: " ".join(sorted(set(joined.decode().split())))
        for session_id, joined in sorted((sessions or {}).items())
    }


def _flaw(row: Row) -> str | None:
    """What is wrong with a row, or None."""
    stage_arn, session_id, participant_id = row
    scope = scope_of(stage_arn)
    if scope is None:
        return f"stage_arn {_shown(stage_arn)} is no ARN of a stage" if stage_arn else "stage_arn is missing"
    if scope.region not in REGIONS:
        return f"stage_arn {_shown(stage_arn)} is in a region that IVS Real-Time does not serve"
    if session_id and not is_session_id(session_id):
        return f"session_id {_shown(session_id)} is not st- and 13 letters or digits"
    if participant_id and not session_id:
        return f"participant_id {_shown(participant_id)} stands without a session_id"
    if participant_id and not is_participant_id(participant_id):
        return f"participant_id {_shown(participant_id)} is not up to 64 letters, digits and hyphens"
    return None


def _rows(name: str, file: BinaryIO) -> Iterator[tuple[int, Row]]:
    """The rows of whichever form the content has."""
    lines = _lines(name, file)
    skipped: list[bytes] = []
    for line in lines:
        skipped.append(line)
        if line.removeprefix(_BOM).strip():
            break
    first = skipped[-1] if skipped else b""
    if first.startswith(_PARQUET_MAGIC):
        return _parquet_rows(name, file)
    texts = _texts(name, chain(skipped, lines))
    is_json = first.removeprefix(_BOM).lstrip().startswith(b"{")
    return _json_rows(name, texts) if is_json else _csv_rows(name, texts)


def _lines(name: str, file: BinaryIO) -> Iterator[bytes]:
    """The file's lines, none longer than what is held in memory at once."""
    number = 0
    while line := file.readline(_LINE_BYTES_MAX):
        number += 1
        if len(line) == _LINE_BYTES_MAX and not line.startswith(_PARQUET_MAGIC):
            raise UsageError(f"{name}:{number}: the line is longer than {_LINE_BYTES_MAX:,} bytes")
        yield line


def _texts(name: str, lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield (line.removeprefix(_BOM) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{name}:{number}: the text is not UTF-8, at byte {error.start} of the line") from None


def _csv_rows(name: str, texts: Iterator[str]) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(texts, strict=True)
    places: list[int | None] = []
    width = 0
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if not places:
                places, width = _places(name, reader.line_num, [field.strip() for field in fields]), len(fields)
            elif len(fields) > width:
                raise UsageError(f"{name}:{reader.line_num}: {len(fields)} fields, but {width} in the header")
            else:
                yield reader.line_num, _row([_field(fields, place) for place in places])
    except csv.Error as error:
        raise UsageError(f"{name}:{reader.line_num}: not CSV: {error}") from None


def _places(name: str, number: int, header: list[str]) -> list[int | None]:
    """Where each of the columns stands; None for one that is missing."""
    for column in _COLUMNS:
        if header.count(column) > 1:
            raise UsageError(f"{name}:{number}: the header names {column} twice")
    if _COLUMNS[0] not in header:
        raise UsageError(f"{name}:{number}: the first line must be a header with the column stage_arn")
    return [header.index(column) if column in header else None for column in _COLUMNS]


def _field(fields: list[str], place: int | None) -> str | None:
    return fields[place] if place is not None and place < len(fields) else None


class _Line(msgspec.Struct):
    stage_arn: str | None = None
    session_id: str | None = None
    participant_id: str | None = None


def _json_rows(name: str, texts: Iterator[str]) -> Iterator[tuple[int, Row]]:
    decode = msgspec.json.Decoder(_Line).decode
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            line = decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise UsageError(f"{name}:{number}: not a line of JSON with texts: {error}") from None
        yield number, _row([line.stage_arn, line.session_id, line.participant_id])


def _parquet_rows(name: str, file: BinaryIO) -> Iterator[tuple[int, Row]]:
    """The rows of a Parquet file, counted from 1."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import, and the other forms do without
    import pyarrow.parquet as pq  # noqa: PLC0415 - the same

    try:
        parquet = pq.ParquetFile(file)
        names = [column for column in _COLUMNS if column in parquet.schema_arrow.names]
        if _COLUMNS[0] not in names:
            raise UsageError(f"{name}: there is no column stage_arn")
        number = 0
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=names):
            columns = [_column(name, batch, column, pa.string()) for column in _COLUMNS]
            for row in zip(*columns, strict=True):
                number += 1
                yield number, _row(row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UsageError(f"{name}: not Parquet that can be read: {reason}") from None


def _column(name: str, batch: Any, column: str, string: Any) -> list[str | None]:  # noqa: ANN401 - pyarrow has no types
    if column not in batch.schema.names:
        return [None] * batch.num_rows
    values = batch.column(column)
    if not _is_text(values.type):
        raise UsageError(f"{name}: the column {column} is {values.type}, not text")
    texts: list[str | None] = values.cast(string).to_pylist()
    return texts


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    import pyarrow.types as pt  # noqa: PLC0415 - slow to import

    value = kind.value_type if pt.is_dictionary(kind) else kind
    return bool(pt.is_string(value) or pt.is_large_string(value) or pt.is_string_view(value) or pt.is_null(value))


def _row(values: Iterable[str | None]) -> Row:
    stage_arn, session_id, participant_id = ((value or "").strip() for value in values)
    return stage_arn, session_id, participant_id


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "…")
