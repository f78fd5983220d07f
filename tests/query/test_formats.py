"""An answer as a table, as CSV and as JSON, whatever is in it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from rich.cells import cell_len

from exporter.query.database import QueryAnswer
from exporter.query.formats import FORMATS

HOSTILE = "a\x1b[2J\u202e\r\n\x9b,\"'é"
MOMENT = datetime(2026, 11, 23, 10, 0, 0, 120_000, UTC)
KINDS: dict[str, tuple[pa.DataType, Any]] = {
    "text": (pa.string(), HOSTILE),
    "time": (pa.timestamp("us", "UTC"), MOMENT),
    "naive": (pa.timestamp("us"), datetime(2026, 11, 23, 10)),  # noqa: DTZ001 - as the views have them: in UTC
    "day": (pa.date32(), MOMENT.date()),
    "sum": (pa.decimal128(38, 0), Decimal(2**70)),
    "share": (pa.float64(), 1 / 3),
    "flag": (pa.bool_(), True),
    "tags": (pa.map_(pa.string(), pa.string()), [("k", HOSTILE)]),
    "numbers": (pa.map_(pa.int32(), pa.int32()), [(1, 2)]),
    "token": (
        pa.struct([("at", pa.timestamp("us", "UTC")), ("of", pa.list_(pa.string()))]),
        {"at": MOMENT, "of": ["x"]},
    ),
    "bytes": (pa.binary(), b"\x00\xff"),
    "none": (pa.string(), None),
}


def answer(columns: dict[str, tuple[pa.DataType, Any]], rows: int = 1) -> QueryAnswer:
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    batch = pa.RecordBatch.from_arrays([pa.array([value], kind) for kind, value in columns.values()], schema=schema)
    return QueryAnswer(schema, iter([batch] * rows))


def text(name: str, given: QueryAnswer, *, is_terminal: bool = False) -> str:
    return "".join(FORMATS[name](given, is_terminal))


def test_json_has_every_value() -> None:
    """Exact numbers, times in UTC, nested values as they are; and nothing but ASCII, whatever the texts are."""
    printed = text("json", answer(KINDS))
    assert printed.isascii()
    assert "\x1b" not in printed
    assert f":{2**70}," in printed
    assert json.loads(printed) == [
        {
            "text": HOSTILE,
            "time": "2026-11-23T10:00:00.12Z",
            "naive": "2026-11-23T10:00:00Z",
            "day": "2026-11-23",
            "sum": 2**70,
            "share": 1 / 3,
            "flag": True,
            "tags": {"k": HOSTILE},
            "numbers": [[1, 2]],
            "token": {"at": "2026-11-23T10:00:00.12Z", "of": ["x"]},
            "bytes": "AP8=",
            "none": None,
        }
    ]


def test_csv_has_every_value_to_the_letter() -> None:
    """For programs a text is as it was; on a terminal it is shown, and not obeyed."""
    [header, row] = csv.reader(io.StringIO(text("csv", answer(KINDS)), newline=""))
    assert header == list(KINDS)
    found = dict(zip(header, row, strict=True))
    assert found["text"] == HOSTILE
    assert found["time"] == "2026-11-23T10:00:00.12Z"
    assert (found["sum"], found["flag"], found["none"], found["bytes"]) == (str(2**70), "true", "", "AP8=")
    assert json.loads(found["tags"]) == {"k": HOSTILE}
    shown = text("csv", answer(KINDS), is_terminal=True)
    assert all(letter.isprintable() for letter in shown.replace("\n", ""))
    assert r"a\x1b[2J\u202e\r\n\x9b" in shown


def test_a_table_is_for_reading() -> None:
    """Nothing in it can move a cursor; numbers stand at the right, wide letters are counted as wide."""
    printed = text("table", answer(KINDS))
    assert all(letter.isprintable() for letter in printed.replace("\n", ""))
    assert printed.count("\n") == 4
    assert r"a\x1b[2J\u202e\r\n\x9b" in printed
    wide = QueryAnswer(
        pa.schema([("name", pa.string()), ("n", pa.int64())]),
        iter([pa.RecordBatch.from_pydict({"name": ["漢字", "ab", "x" * 200], "n": [1, 22, None]})]),
    )
    lines = text("table", wide).splitlines()
    assert lines[2] == "漢字" + " " * 77 + "     1"
    assert lines[3] == "ab" + " " * 79 + "    22"
    assert lines[4] == "x" * 80 + "…" + "  null"
    assert lines[5] == "(3 rows)"


def test_a_cell_is_cut_by_what_it_takes_on_a_terminal() -> None:
    """Letters that are two wide fill a column twice as fast."""
    lines = text("table", answer({"a": (pa.string(), "漢" * 99)})).splitlines()
    assert [cell_len(line) for line in lines[:3]] == [1, 81, 81]
    assert lines[2] == "漢" * 40 + "…"


@pytest.mark.parametrize(
    ("name", "none", "many"), [("table", "a\n-\n(0 rows)\n", 2_003), ("csv", "a\n", 2_001), ("json", "[]\n", 2_002)]
)
def test_no_row_and_many(name: str, none: str, many: int) -> None:
    columns = {"a": (pa.int64(), 1)}
    schema = pa.schema([("a", pa.int64())])
    assert text(name, QueryAnswer(schema, iter([]))) == none
    printed = text(name, answer(columns, 2_000))
    assert printed.count("\n") == many
    if name == "json":
        assert json.loads(printed) == [{"a": 1}] * 2_000


def test_columns_of_one_name_are_told_apart_in_json() -> None:
    schema = pa.schema([("a", pa.int64()), ("a_2", pa.int64()), ("a", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array([n]) for n in range(3)], schema=schema)
    assert json.loads(text("json", QueryAnswer(schema, iter([batch])))) == [{"a": 0, "a_2": 1, "a_3": 2}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_null_in_json(value: float) -> None:
    assert json.loads(text("json", answer({"a": (pa.float64(), value)}))) == [{"a": None}]


@pytest.mark.parametrize("name", FORMATS)
def test_a_moment_that_no_calendar_has_is_no_end(name: str) -> None:
    """DuckDB knows an infinite time, and years that Python does not, also within values."""
    kinds = {
        "last": (pa.timestamp("us"), 2**63 - 1),
        "first": (pa.timestamp("us", "UTC"), -(2**63) + 1),
        "day": (pa.date32(), 2**31 - 1),
        "far": (pa.struct([("at", pa.timestamp("us", "UTC")), ("on", pa.list_(pa.date32()))]),
                {"at": 2**63 - 1, "on": [2**22, None]}),
        "fine": (pa.map_(pa.string(), pa.timestamp("ns")), [("at", 1)]),
    }  # fmt: skip
    printed = text(name, answer(kinds))
    assert printed.count("-infinity") == 1
    assert printed.count("infinity") == 4
    assert "13453-" in printed
    assert "1970-01-01T00:00:00.000000001Z" in printed


def test_values_of_values_keep_their_places() -> None:
    """Nulls, empty ones, two members of one name, and a part of a longer column."""
    kind = pa.struct([("a", pa.list_(pa.int64())), ("a", pa.map_(pa.string(), pa.int64()))])
    lists = pa.array([[9], None, [], [1, None]], pa.list_(pa.int64()))
    maps = pa.array([[("z", 9)], [("k", 1)], None, []], pa.map_(pa.string(), pa.int64()))
    column = pa.StructArray.from_arrays([lists, maps], fields=list(kind), mask=pa.array([False, False, True, False]))
    fixed = pa.array([[0, 0], [1, 2], None, [3, None]], pa.list_(pa.int64(), 2))
    none = pa.array([{}, {}, None, {}], pa.struct([]))
    batch = pa.RecordBatch.from_arrays([column, fixed, none], ["s", "f", "e"]).slice(1)
    assert json.loads(text("json", QueryAnswer(batch.schema, iter([batch])))) == [
        {"s": {"a": None, "a_2": {"k": 1}}, "f": [1, 2], "e": {}},
        {"s": None, "f": None, "e": None},
        {"s": {"a": [1, None], "a_2": {}}, "f": [3, None], "e": {}},
    ]


def test_a_plan_is_drawn_line_by_line() -> None:
    """What EXPLAIN answers is a picture, whole, and no cell."""
    kinds = {"explain_key": (pa.string(), "plan"), "explain_value": (pa.string(), f"{'─' * 100}\n\x1b[2J│\n")}
    assert text("table", answer(kinds)) == f"{'─' * 100}\n\\x1b[2J│\n"
