from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.domain import Scope
from exporter.errors import UsageError
from exporter.targets import Targets, read

if TYPE_CHECKING:
    from pathlib import Path

A = "arn:aws:ivs:eu-west-1:123456789012:stage/AAAA"
B = "arn:aws:ivs:us-east-1:123456789012:stage/BBBB"
S1, S2 = "st-1111111111111", "st-2222222222222"
COLUMNS = ("stage_arn", "session_id", "participant_id")


def tree(targets: Targets) -> dict[str, Any]:
    """All that a list names: stages, their sessions, their participants; None stands for all."""
    found: dict[str, Any] = {}
    for scope in targets.scopes():
        for arn in targets.stages(scope):
            sessions = targets.sessions(arn)
            found[arn] = sessions and {session: targets.participants(arn, session) for session in sessions}
    return found


def read_bytes(tmp_path: Path, content: bytes) -> Targets:
    file = tmp_path / "targets"
    file.write_bytes(content)
    return read(str(file))


def as_csv(rows: list[tuple[str | None, ...]]) -> bytes:
    lines = [",".join(COLUMNS), *(",".join(value or "" for value in row) for row in rows)]
    return "\n".join(lines).encode()


def as_json_lines(rows: list[tuple[str | None, ...]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows).encode()


def as_parquet(rows: list[tuple[str | None, ...]], kind: Any = None) -> bytes:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, pa.string()).cast(kind or pa.string()) for column in columns]
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(COLUMNS, arrays, strict=True))), sink)
    return sink.getvalue()


FORMS = [as_csv, as_json_lines, as_parquet]
arns = st.sampled_from([A, B])
sessions = st.sampled_from([S1, S2])
participants = st.sampled_from(["p", "q-2", "R" * 64])
rows_of_targets = st.lists(
    st.one_of(
        st.tuples(arns, st.just(None), st.just(None)),
        st.tuples(arns, sessions, st.just(None)),
        st.tuples(arns, sessions, participants),
    ),
    min_size=1,
)


def meant(rows: list[tuple[str | None, ...]]) -> dict[str, Any]:
    """What rows name, computed the slow and plain way."""
    found: dict[str, Any] = {}
    for arn in sorted({row[0] for row in rows}, key=str):
        own = [row for row in rows if row[0] == arn]
        named: dict[str, Any] = {}
        for session in sorted({row[1] for row in own if row[1]}, key=str):
            ids = {row[2] for row in own if row[1] == session}
            named[str(session)] = None if None in ids else sorted(ids, key=str)
        found[str(arn)] = None if any(row[1] is None for row in own) else named
    return found


@pytest.mark.parametrize("form", FORMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=rows_of_targets)
def test_every_form_names_the_same(form: Any, rows: list[tuple[str | None, ...]], tmp_path: Path) -> None:
    """Rows in any form and order name each thing once, sorted, and a broader row swallows the narrower."""
    targets = read_bytes(tmp_path, form(rows))
    assert tree(targets) == meant(rows)
    counts = [sum(len(ids) if ids else 1 for ids in named.values()) if named else 1 for named in meant(rows).values()]
    assert targets.count == sum(counts)


def test_scopes_and_what_is_not_named() -> None:
    """A list's scopes are its ARNs'; where sessions are named, another session has nothing to export."""
    targets = Targets({A: {S1: "p q", S2: ""}, B: {}})
    assert targets.scopes() == [Scope("123456789012", "eu-west-1"), Scope("123456789012", "us-east-1")]
    assert targets.stages(Scope("123456789012", "us-east-1")) == [B]
    assert targets.participants(A, S1) == ["p", "q"]
    assert targets.participants(A, S2) is None
    assert targets.participants(A, "st-3333333333333") == []
    assert targets.participants(B, S1) is None


@pytest.mark.parametrize(
    "content",
    [
        f"stage_arn,session_id\n{A},{S1}",
        f"stage_arn\r\n\r\n{A}\r\n{A}\r\n\r\n",
        f"\ufeffstage_arn,session_id,participant_id\n{A},{S1},",
        f'"note","session_id","stage_arn"\n"a ""b"", \nc",{S1},"{A}"\n',
        f" stage_arn , session_id \n {A} , {S1} \n , \n",
        f"stage_arn,session_id,participant_id\n{A}\n",
        f'\n\n{{"stage_arn":"{A}","session_id":"{S1}","other":[1,{{}}],"participant_id":null}}\n\n',
        f'\ufeff  {{"session_id":"{S1}","stage_arn":"{A}"}}',
    ],
)
def test_ordinary_files_are_read(content: str, tmp_path: Path) -> None:
    """A byte order mark, CRLF, quotes, blank lines, spaces, and columns of others do no harm."""
    targets = read_bytes(tmp_path, content.encode())
    assert tree(targets) in ({A: {S1: None}}, {A: None})
    assert targets.count == 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_parquet_texts_of_every_kind_are_read(kind: Any, tmp_path: Path) -> None:
    """What DuckDB, Polars and pandas write for text is all the same here."""
    targets = read_bytes(tmp_path, as_parquet([(A, S1, "p"), (A, S1, None)], kind))
    assert tree(targets) == {A: {S1: None}}


def test_standard_input_and_pipes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash stands for standard input, and a pipe is a file like another."""
    content = as_json_lines([(A, S1, "p")])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert tree(read("-")) == {A: {S1: ["p"]}}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(content,))
    writing.start()
    assert tree(read(str(pipe))) == {A: {S1: ["p"]}}
    writing.join()


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (f"stage_arn,session_id\n{A},{S1}\n{A},x", ":3:", "session_id 'x' is not st-"),
        (f"stage_arn\n{A}\n\n\nfoo", ":5:", "stage_arn 'foo' is no ARN of a stage"),
        (f"stage_arn\n{A.replace('eu-west-1', 'us-east-2')}", ":2:", "does not serve"),
        (f"stage_arn,participant_id\n{A},p", ":2:", "participant_id 'p' stands without a session_id"),
        (f"stage_arn,session_id,participant_id\n{A},{S1},a b", ":2:", "participant_id 'a b' is not"),
        (f"stage_arn,session_id\n,{S1}", ":2:", "stage_arn is missing"),
        (f"stage_arn\n{A}\n{A},1", ":3:", "2 fields, but 1 in the header"),
        (f"{A},{S1}", ":1:", "the first line must be a header"),
        ("stage_arn,stage_arn\n", ":1:", "names stage_arn twice"),
        ('stage_arn\n"abc', ":2:", "not CSV"),
        (f'stage_arn\n"{A}"x', ":2:", "not CSV"),
        (f"stage_arn\r{A}", ":1:", ""),
        (f'{{"stage_arn":"{A}"}}\n{{"stage_arn":5}}', ":2:", "not a line of JSON"),
        (f'{{"stage_arn":"{A}"}}\n["{A}"]', ":2:", "not a line of JSON"),
        (f'{{"stage_arn":"{A}"', ":1:", "not a line of JSON"),
        ('{"x":' + "[" * 100_000, ":1:", "not a line of JSON"),
        ("{}", ":1:", "stage_arn is missing"),
        ("", "", "names no targets"),
        ("\n \n", "", "names no targets"),
        ("stage_arn\n", "", "names no targets"),
        (f"stage_arn\n{A}\0", ":2:", "is no ARN of a stage"),
        (f"stage_arn,x\n{A}," + "y" * 200_000, ":2:", "not CSV"),
        ("x" * 2_000_000, ":1:", "the line is longer than"),
        ("stage_arn\n\x1b[31m" + "z" * 1000, ":2:", r"stage_arn '\x1b[31mzzz"),
    ],
)
def test_wrong_line_is_named(content: str, place: str, reason: str, tmp_path: Path) -> None:
    """The error names the file, the line and the reason, cut, and with nothing that a terminal would obey."""
    with pytest.raises(UsageError) as raised:
        read_bytes(tmp_path, content.encode())
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'targets'}{place}")
    assert reason in message
    assert len(message) < 500
    assert message.isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"stage_arn\n\xe4\xf6", ":2: the text is not UTF-8, at byte 0"),
        ("stage_arn\n".encode("utf-16"), ":1: the text is not UTF-8"),
        (b"PAR1", "not Parquet that can be read"),
        (as_parquet([(A, S1, "p")])[:-9], "not Parquet that can be read"),
    ],
)
def test_bytes_that_are_no_list_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    """Another encoding and a torn Parquet file are errors that say so."""
    with pytest.raises(UsageError, match=re.escape(reason)):
        read_bytes(tmp_path, content)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"arn": [A]}), "there is no column stage_arn"),
        (pa.table({"stage_arn": [1]}), "the column stage_arn is int64, not text"),
        (pa.table({"stage_arn": [A, "x"]}), ":2: stage_arn 'x'"),
        (pa.table({"stage_arn": pa.array([], pa.string())}), "names no targets"),
    ],
)
def test_wrong_parquet_is_refused(table: Any, reason: str, tmp_path: Path) -> None:
    """A Parquet file is held to the same, by its rows' numbers."""
    pq.write_table(table, tmp_path / "targets")
    with pytest.raises(UsageError, match=reason):
        read(str(tmp_path / "targets"))


@pytest.mark.parametrize("name", [".", "missing", "a\0b", "x" * 5000])
def test_what_is_no_file_is_refused(name: str) -> None:
    """A directory, a missing file and impossible names are errors that say why."""
    with pytest.raises(UsageError, match=r"can.t be read: ."):
        read(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    head=st.sampled_from([b"", b"stage_arn\n", b"{", b'{"stage_arn":', b"PAR1", b"\xef\xbb\xbf"]),
    rest=st.one_of(st.binary(), st.text().map(str.encode)),
)
def test_garbage_is_refused_and_nothing_else(head: bytes, rest: bytes, tmp_path: Path) -> None:
    """No bytes whatever make anything but a list or a usage error."""
    with pytest.raises(UsageError):
        read_bytes(tmp_path, head + rest)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_damaged_parquet_is_read_or_refused(place: int, value: int, tmp_path: Path) -> None:
    """One wrong byte in a Parquet file ends in a list or in a usage error."""
    content = bytearray(as_parquet([(A, S1, "p"), (B, None, None)]))
    content[place % len(content)] = value
    try:
        read_bytes(tmp_path, bytes(content))
    except UsageError as error:
        assert str(tmp_path) in str(error)  # noqa: PT017 - the list may also be read
