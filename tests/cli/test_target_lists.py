from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.cli import exit_codes
from exporter.cli.actions.run_options import open_on_s3
from exporter.cli.app import main
from exporter.discovery.target_list import Targets, read
from exporter.errors import UsageError
from exporter.lake.tables.events import EVENTS
from exporter.model import Scope
from tests.support.servers.moto_s3 import moto_s3

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


def as_parquet(rows: list[tuple[str | None, ...]], kind: Any = None, names: Sequence[str] = COLUMNS) -> bytes:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, pa.string()).cast(kind or pa.string()) for column in columns]
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), sink)
    return sink.getvalue()


FORMS = [as_csv, as_json_lines, as_parquet]
arns = st.sampled_from([A, B])
sessions = st.sampled_from([S1, S2])
participants = st.sampled_from(["p", "q-2", "R" * 64, "ä_1/2"])
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


@pytest.mark.parametrize(
    "content",
    [
        f"sep=;\r\nstage_arn;session_id\r\n{A};{S1}\r\n{B};{S1}\r\n",
        f'"SEP=,"\nstage_arn,session_id\n{A},{S1}\n{B},{S1}\n',
        f"sep=\t\nstage_arn\tsession_id\n{A}\t{S1}\n{B}\t{S1}",
        f"stage_arn,session_id\r{A},{S1}\r{B},{S1}",
        f"stage_arn,session_id\r{A},{S1}\r{B},{S1}\r",
        f'{{"stage_arn": "{A}", "session_id": "{S1}"}}\r{{"stage_arn": "{B}", "session_id": "{S1}"}}',
    ],
)
def test_lists_as_spreadsheets_write_them(content: str, tmp_path: Path) -> None:
    """A line for spreadsheets alone stands first; or lines end with carriage returns, as on a Mac."""
    assert tree(read_bytes(tmp_path, content.encode())) == {A: {S1: None}, B: {S1: None}}


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


LONG = "x" * 129
#: Lists that are none: where the refusal says that they are wrong, and what it says.
WRONG: dict[str, tuple[str | bytes, str, str]] = {
    "nothing": ("", "", "names no targets"),
    "blanks": ("\n \n", "", "names no targets"),
    "a mark alone": ("\ufeff", "", "names no targets"),
    "a header alone": ("stage_arn\n", "", "names no targets"),
    "an empty array": ("[]", "", "names no targets"),
    "an empty answer": ('{"stages": []}', "", "names no targets"),
    "no ARN": (f"stage_arn\n{A}\n\n\nfoo", ":5:", "stage_arn 'foo' is no ARN of a stage"),
    "a channel's ARN": (f"stage_arn\n{A.replace('stage', 'channel')}", ":2:", "is no ARN of a stage"),
    "an ARN in quotes": (f"stage_arn\n'{A}'", ":2:", "is no ARN of a stage"),
    "an ARN with a NUL": (f"stage_arn\n{A}\0", ":2:", "is no ARN of a stage"),
    "no region": (f"stage_arn\n{A.replace('eu-west-1', 'mars')}", ":2:", "is in no region of AWS's"),
    "another account": (f"stage_arn\n{A.replace('123456789012', '1234')}", ":2:", "is no ARN of a stage"),
    "a row of another delimiter": (f"stage_arn;session_id\n{A},{S1}", ":2:", "is no ARN of a stage"),
    "a session without its stage": (f"stage_arn,session_id\n,{S1}", ":2:", "stage_arn is missing"),
    "a participant without a session": (f"stage_arn,participant_id\n{A},p", ":2:", "stands without a session_id"),
    "a blank in a participant": (f"stage_arn,session_id,participant_id\n{A},{S1},a b", ":2:", "'a b' holds a blank"),
    "a blank in a session": (f"stage_arn,session_id\n{A},a b", ":2:", "session_id 'a b' holds a blank"),
    "another blank": (f"stage_arn,session_id\n{A},a\u00a0b", ":2:", "holds a blank, or what can't be seen"),
    "a control character": (f"stage_arn,session_id\n{A},a\x07b", ":2:", "holds a blank, or what can't be seen"),
    "a letter without width": (f"stage_arn,session_id\n{A},a\u200bb", ":2:", "holds a blank, or what can't be seen"),
    "a slash in a session": (f"stage_arn,session_id\n{A},a/b", ":2:", "'a/b' holds a slash"),
    "a long session": (f"stage_arn,session_id\n{A},{LONG}", ":2:", "has 129 characters"),
    "a long participant": (f"stage_arn,session_id,participant_id\n{A},{S1},{LONG}", ":2:", "has 129 characters"),
    "a long ARN": (f"stage_arn\n{A}{LONG}", ":2:", "is no ARN of a stage"),
    "more fields than names": (f"stage_arn\n{A}\n{A},1", ":3:", "2 fields, but 1 in the header"),
    "no header": (f"{A},{S1}", ":1:", "begins with a header"),
    "bare ARNs and another text": (f"{A}\n# the other\n", ":2:", "'#' is no ARN of a stage, in a list of bare ARNs"),
    "bare ids of sessions": (
        f"{S1}\n{S2}\n",
        ":1:",
        f"must be a header with the column stage_arn, or the ARN of a stage: '{S1}'",
    ),
    "AWS's text": (f"STAGES\t{A}\tname\n", ":1:", "did you mean stage_arn?"),
    "YAML": (f"stages:\n- arn: {A}\n", ":1:", "did you mean stage_arn?"),
    "another table": (
        "note,count\na,1\n",
        ":1:",
        "must be a header with the column stage_arn, or the ARN of a stage: 'note', 'count'",
    ),
    "pipes": (f"stage_arn|session_id\n{A}|{S1}", ":1:", "fields stand between pipes (|): commas, semicolons or tabs"),
    "pipes and quotes": (f'"stage_arn"|"session_id"\n"{A}"|"{S1}"', ":1:", "fields stand between pipes (|): commas"),
    "pipes without a header": (f"{A}|{S1}", ":1:", "fields stand between pipes (|): commas, semicolons or tabs"),
    "carets": (f"note^stage_arn\nx^{A}", ":1:", "fields stand between carets (^): commas"),
    "blanks between fields": (f"stage_arn session_id\n{A} {S1}", ":1:", "fields stand between blanks: commas"),
    "colons": (f"session_id:stage_arn\n{S1}:{A}", ":1:", "fields stand between colons (:): commas"),
    "pipes below commas": (f"stage_arn,session_id\n{A}|{S1}", ":2:", "of a stage: pipes (|) follow one"),
    "semicolons below commas": (f"stage_arn,session_id\n{A};{S1}", ":2:", "of a stage: semicolons (;) follow one"),
    "semicolons below a name alone": (f"stage_arn\n{A};{S1}", ":2:", "of a stage: semicolons (;) follow one"),
    "tabs in JSON": (json.dumps([f"{A}\t{S1}"]), ":1: item 1:", "of a stage: tabs follow one"),
    "a blank that can't be seen": (
        f"stage_arn,session_id\n{A},\u00a0",
        ":2:",
        "'\\xa0' holds nothing that can be seen",
    ),
    "a letter without width alone": (f"stage_arn,session_id\n{A},\u200b", ":2:", "holds nothing that can be seen"),
    "a blank participant in JSON": (
        json.dumps({"stage_arn": A, "session_id": S1, "participant_id": "\u00a0\u3000"}),
        ":1:",
        "participant_id '\\xa0\\u3000' holds nothing that can be seen: leave it empty",
    ),
    "a blank in Parquet": (
        as_parquet([(A, "\u2003", None)]),
        ":1:",
        "session_id '\\u2003' holds nothing that can be seen",
    ),
    "a name that stands there twice": ("stage_arn,stage_arn\n", ":1:", "stage_arn stands there twice"),
    "two spellings of a name": (f"stage_arn,StageArn\n{A},{B}", ":1:", "twice, as 'stage_arn' and 'StageArn'"),
    "an open quote": ('stage_arn\n"abc', ":2:", "not CSV"),
    "a text after a quote": (f'stage_arn\n"{A}"x', ":2:", "not CSV"),
    "a long field": (f"stage_arn,x\n{A}," + "y" * 200_000, ":2:", "not CSV"),
    "a long line": ("x" * 2_000_000, ":1:", "the line is longer than"),
    "what a terminal obeys": ("stage_arn\n\x1b[31m" + "z" * 1000, ":2:", r"stage_arn '\x1b[31mzzz"),
    "a number for a text": (f'{{"stage_arn":"{A}"}}\n{{"stage_arn":5}}', ":2:", "stage_arn is a number (5), not text"),
    "an array for a text": (f'{{"stage_arn":"{A}","session_id":["{S1}"]}}', ":1:", "session_id is an array, not text"),
    "an array in an array": (f'[["{A}"]]', ":1: item 1:", "an array is no row"),
    "a number for a row": ("[17]", ":1: item 1:", "a number (17) is no row"),
    "null for a row": (f'["{A}",\nnull]', ":2: item 2:", "null is no row"),
    "an object that does not end": (f'{{"stage_arn":"{A}"', ":1:", "not JSON"),
    "an array that does not end": (f'[{{"stage_arn":"{A}"}},\n', ":2:", "the list is cut short"),
    "a text that does not end": (f'["{A}', ":1: item 1:", "not JSON: Unterminated string"),
    "what follows an array": (f'["{A}"] and more', ":1:", "not JSON"),
    "commas between objects": (f'{{"stage_arn":"{A}"}},\n{{"stage_arn":"{A}"}}', ":1:", "not JSON"),
    "a deep array": ("[" * 100_000, ":1:", "nested too deeply"),
    "a deep object": ('{"x":' + "[" * 100_000, ":1:", "nested too deeply"),
    "a long value": ('{"x":"' + "y" * (9 << 20), ":1:", "a value is longer than"),
    "a number of many digits": ('{"x":' + "9" * 5_000 + "}", ":1:", "not JSON that can be read"),
    "a member that stands there twice": (
        f'{{"stage_arn":"{A}","session_id":"{S1}","session_id":"{S2}"}}',
        ":1:",
        "'session_id' twice",
    ),
    "an empty object": ("{}", ":1:", "stage_arn is missing: the object names nothing"),
    "another object": ('{"name": "x"}', ":1:", "stage_arn is missing: the object names 'name'"),
    "SQL's word for nothing": (
        f"stage_arn,session_id,participant_id\n{A},{S1},p\n{A},NULL,NULL\n",
        ":3:",
        "session_id is 'NULL', a word for nothing: leave it empty",
    ),
    "Python's word for nothing": (
        f"stage_arn,session_id,participant_id\n{A},{S1},nan\n",
        ":2:",
        "participant_id is 'nan', a word for nothing: leave it empty",
    ),
    "half of a letter": (f'{{"stage_arn":"{A}","session_id":"\\ud800"}}', ":1:", "what can't be seen"),
    "AWS's sessions without their stage": (
        f'{{"stageSessions":[{{"sessionId":"{S1}"}}]}}',
        ":1:",
        "name it with --stage ARN",
    ),
    "AWS's participants without their stage": (
        '{"participants":[{"participantId":"p"}]}',
        ":1:",
        "name it with --stage ARN",
    ),
    "a stage of AWS's without its ARN": ('{"stages":[{"name":"x"}]}', ":1:", "one of the stages has no arn"),
    "a null among AWS's stages": ('{"stages":[null]}', ":1:", "null stands among the stages"),
    "two lists of AWS's": ('{"stages":[],"participants":[]}', ":1:", "both 'stages' and 'participants'"),
    "HTML": ("<html><body>Sign in</body></html>", ":", "is HTML or XML"),
    "Latin-1": (b"stage_arn\n\xe4\xf6", ":2:", "the text is not UTF-8, at byte 0 of the line"),
    "Latin-1 in JSON": (b'{"stage_arn":"\xe4"}', ":1:", "the text is not UTF-8, at byte 14 of the line"),
    "half of a letter at the end": (
        "stage_arn\nä".encode()[:-1],
        ":2:",
        "the text is not UTF-8, at byte 0 of the line",
    ),
    "half of a letter in UTF-16": ("stage_arn\n".encode("utf-16")[:-1], ":", "the text is not UTF-16"),
    "UTF-32": ("stage_arn\n".encode("utf-32"), ":", "is UTF-32: write it as UTF-8"),
    "torn gzip": (gzip.compress(A.encode())[:-9], ":", "is gzip that is cut short"),
    "damaged gzip": (gzip.compress(A.encode())[:10] + b"\xff" * 20, ":", "is gzip that can't be unpacked"),
    "gzip in gzip": (gzip.compress(gzip.compress(A.encode())), ":", "is packed with gzip twice"),
    "a bomb": (
        gzip.compress(b"stage_arn,x\n" + f"{A},{'y' * 100_000}\n".encode() * 200),
        ":",
        "unpacks to more than 500 times its size",
    ),
    "a spreadsheet": (b"PK\x03\x04\x14\0\x06\0", ":", "a spreadsheet (.xlsx): save it as CSV"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58", ":", "is compressed with zstd: unpack it, or use gzip"),
    "xz": (b"\xfd7zXZ\0\0", ":", "is compressed with xz"),
    "bzip2": (b"BZh91AY&SY", ":", "is compressed with bzip2"),
    "Arrow": (b"ARROW1\0\0", ":", "is an Arrow file"),
    "Avro": (b"Obj\x01\x04", ":", "is an Avro file"),
    "SQLite": (b"SQLite format 3\0", ":", "is a SQLite database"),
    "a picture": (b"\x89PNG\r\n\x1a\n", ":", "is a picture"),
    "Parquet that is none": (b"PAR1", ":", "not Parquet that can be read"),
    "torn Parquet": (as_parquet([(A, S1, "p")])[:-9], ":", "not Parquet that can be read"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_list_ends_in_one_line(what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The command says file, line and reason in one line, cut, and with nothing that a terminal would obey."""
    content, line, reason = WRONG[what]
    (tmp_path / "targets").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["run", "--targets", str(tmp_path / "targets"), "--lake", str(tmp_path / "lake")]) == exit_codes.USAGE
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    message = json.loads(err)["message"]
    assert message.startswith(f"{tmp_path / 'targets'}{line}")
    assert reason in message
    assert len(message) < 500
    assert message.isprintable()
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("column", "meant_column"),
    [
        *((name, "session_id") for name in ("session", "sessionId2", "sesion_id", "session_ids", "sess_id")),
        *((name, "session_id") for name in ("stage_session_id", "session_id_1", "session key", "sid", "esssion_id")),
        *((name, "participant_id") for name in ("participant", "particpantId", "participant_uuid")),
        *((name, "participant_id") for name in ("participent_id", "old_participant_id", "PARTICIPANTID2", "pid")),
        *((name, "stage_arn") for name in ("arn", "stage", "stageId", "stage_arm", "my stage arn", "stage_arns")),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_name_that_resembles_one_of_the_three_is_refused(
    form: str, column: str, meant_column: str, tmp_path: Path
) -> None:
    """A narrower column that is misspelt would be taken for absent, and so for everything."""
    names = [name for name in COLUMNS if name != meant_column] + [column]
    if form == "csv":
        content = f"{','.join(names)}\n{A},{S1},p\n".encode()
    elif form == "json" and column != "arn":
        content = json.dumps(dict(zip(names, (A, S1, "p"), strict=True))).encode()
    else:
        content = as_parquet([(A, S1, "p")], names=names)
    with pytest.raises(
        UsageError, match=re.escape(f"{column!r} is none of {', '.join(COLUMNS)}: did you mean {meant_column}?")
    ):
        read_bytes(tmp_path, content)


def test_columns_of_the_lake_and_of_others_are_passed_over(tmp_path: Path) -> None:
    """What a query of this lake gives, and what people keep beside ids, is a list as it is."""
    others = [field.name for field in EVENTS.schema if field.name not in COLUMNS]
    others += ["stage_name", "stage_tags", "session_start", "session_end", "participant_count", "source_stage_arn"]
    others += ["source_session_id", "activeSessionId", "state", "user_id", "session_title", "participant_name", "note"]
    others += ["", "id", "version", "message", "count", "state", "Sitzung", "mission_id", "person_id", "version_id"]
    names = [*others, *COLUMNS]
    content = f"{','.join(names)}\n{',' * len(others)}{A},{S1},p\n".encode()
    assert tree(read_bytes(tmp_path, content)) == {A: {S1: ["p"]}}


STAGES = {"stages": [{"activeSessionId": S2, "arn": arn, "name": "x", "tags": {"session": "x"}} for arn in (A, B)]}
SESSIONS = {"stageSessions": [{"sessionId": S1, "startTime": "2026-11-23T00:00:00Z"}]}
PARTICIPANTS = {"participants": [{"participantId": "p", "state": "DISCONNECTED", "userId": "", "sourceSessionId": S2}]}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (f"stage_arn;session_id\n{A};{S1}", {A: {S1: None}}),
        (f"stage_arn\tsession_id\n{A}\t{S1}", {A: {S1: None}}),
        (f'"Stage ARN";"note, or so";"SESSION-ID"\n{A};"a;b";{S1}', {A: {S1: None}}),
        (f"stageArn,sessionId,participantId\n{A},{S1},p", {A: {S1: ["p"]}}),
        (f"STAGE_ARN,Session_Id\n{A},{S1}", {A: {S1: None}}),
        (f"{A}\n\n {B} \n", {A: None, B: None}),
        (f'"{A}"\n"{B}"\n', {A: None, B: None}),
        (f"{A}\t{B}\n", {A: None, B: None}),
        (json.dumps([A, B]), {A: None, B: None}),
        (json.dumps([{"stage_arn": A, "session_id": S1}, {"stage_arn": B}], indent=1), {A: {S1: None}, B: None}),
        (json.dumps({"stageArn": A, "sessionId": S1}, indent=4) * 2, {A: {S1: None}}),
        (f'{{"arn":"{A}","name":"x"}}\n{{"arn":"{B}"}}', {A: None, B: None}),
        (json.dumps(STAGES, indent=4), {A: None, B: None}),
        (json.dumps(STAGES["stages"], indent=4), {A: None, B: None}),
        (json.dumps({"stages": STAGES["stages"][:1], "nextToken": "x"}) + json.dumps(STAGES), {A: None, B: None}),
        (json.dumps([STAGES, {"stages": []}]), {A: None, B: None}),
        (json.dumps(SESSIONS), {A: {S1: None}}),
        (json.dumps(SESSIONS["stageSessions"]), {A: {S1: None}}),
        (f"session_id,participant_id\n{S1},p", {A: {S1: ["p"]}}),
        (json.dumps({**PARTICIPANTS, "sessionId": S1}), {A: {S1: ["p"]}}),
        (json.dumps({**PARTICIPANTS, "sessionId": S1, "stageArn": A}), {A: {S1: ["p"]}}),
        (f"stage_arn,session_id,participant_id\n{A},st-_new-1,ä_b/c", {A: {"st-_new-1": ["ä_b/c"]}}),
        (f"stage_arn,session_id\n{A},{'x' * 128}", {A: {"x" * 128: None}}),
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gzip", "gzips"])
def test_lists_as_people_have_them_are_read(content: str, named: dict[str, Any], coding: str, tmp_path: Path) -> None:
    """Any delimiter, spelling, encoding and packing that has one meaning; one stage stands for what names none."""
    if coding.startswith("gzip"):
        data, half = content.encode(), len(content) // 2
        packed = gzip.compress(data) if coding == "gzip" else gzip.compress(data[:half]) + gzip.compress(data[half:])
    else:
        packed = content.encode(coding)
    (tmp_path / "targets").write_bytes(packed)
    assert tree(read(str(tmp_path / "targets"), A)) == named


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps(PARTICIPANTS), "put a member sessionId beside participants"),
        ('{"stageSessions":[{"startTime":"x"}]}', "one of the stageSessions has no id"),
        ('{"sessionId":"st-1","participants":[{"userId":"x"}]}', "one of the participants has no id"),
        ('{"stages":[{"name":"x"}]}', "one of the stages has no arn"),
        ("session_id,note\n,x", "session_id is missing"),
        ("note\nx", "must be a header with the column stage_arn"),
        ('{"note":"x"}', "session_id is missing: the object names 'note'"),
        ("participant_id\np", "must be a header with the column stage_arn"),
    ],
)
def test_stage_that_is_given_stands_for_no_row_that_names_nothing(content: str, reason: str, tmp_path: Path) -> None:
    """Of a list without stages each row names a session at least: it would stand for the whole stage else."""
    (tmp_path / "targets").write_text(content)
    with pytest.raises(UsageError, match=re.escape(reason)):
        read(str(tmp_path / "targets"), A)


def test_page_of_a_longer_list_is_noted(tmp_path: Path) -> None:
    """AWS's command prints fifty stages and a token; that the list is no more than those is worth a line."""
    content = json.dumps({**STAGES, "nextToken": "abc"}).encode()
    assert len(read_bytes(tmp_path, content).notes) == 1
    assert read_bytes(tmp_path, json.dumps({**STAGES, "nextToken": None}).encode()).notes == ()


def test_long_lists_are_read_a_piece_at_a_time(tmp_path: Path) -> None:
    """Rows, letters and packed bytes that end between two pieces are whole, in every form."""
    rows = [(A, S1, f"ä{number:06}") for number in range(5_000)]
    as_array = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows], ensure_ascii=False)
    one_answer = {"sessionId": S1, "participants": [{"participantId": row[2]} for row in rows]}
    contents = [as_csv(list(rows)), as_json_lines(list(rows)), as_array.encode(), as_array.encode("utf-16")]
    contents += [as_parquet(list(rows)), gzip.compress(as_parquet(list(rows))), json.dumps(one_answer).encode()]
    for content in contents:
        (tmp_path / "targets").write_bytes(content)
        targets = read(str(tmp_path / "targets"), A)
        assert targets.participants(A, S1) == [row[2] for row in rows]


def test_repeated_names_take_no_memory(tmp_path: Path) -> None:
    """A list may name the same participant again and again, as a query of events does."""
    content = "stage_arn,session_id,participant_id\n" + f"{A},{S1},p-1\n{A},{S1},p-2\n" * 10_000
    (tmp_path / "targets").write_text(content)
    tracemalloc.start()
    try:
        assert tree(read(str(tmp_path / "targets"))) == {A: {S1: ["p-1", "p-2"]}}
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"use_dictionary": True},
        {"use_dictionary": False},
        {"use_dictionary": False, "column_encoding": {"session_id": "DELTA_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"session_id": "DELTA_LENGTH_BYTE_ARRAY"}},
        {"use_dictionary": True, "data_page_version": "2.0"},
    ],
    ids=str,
)
def test_parquet_that_unpacks_to_gigabytes_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    """Some thousand bytes can say that each of 65,536 rows holds a long text: 3.8 GB, of which little is ever read."""
    batch = pa.record_batch({"stage_arn": [A] * 256, "session_id": ["y" * 58_000] * 256})
    with pq.ParquetWriter(tmp_path / "targets", batch.schema, compression="zstd", **options) as writer:
        for _ in range(256):
            writer.write_batch(batch)
    before = pa.total_allocated_bytes()
    peak = 0

    def watched(*_: object) -> None:
        nonlocal peak
        peak = max(peak, pa.total_allocated_bytes() - before)

    sys.setprofile(watched)
    try:
        with pytest.raises(UsageError, match=r":1: session_id .*58,000"):
            read(str(tmp_path / "targets"))
    finally:
        sys.setprofile(None)
    assert peak < 256 << 20


@pytest.mark.slow
def test_parquet_page_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    """The header says what a page will take, and is read before the page."""
    table = pa.table({"stage_arn": pa.array(["z" * (140 << 20)], pa.large_string())})
    pq.write_table(table, tmp_path / "targets", compression="zstd", use_dictionary=False, write_statistics=False)
    with pytest.raises(UsageError, match=r"has a page of 146,800,6\d\d bytes"):
        read(str(tmp_path / "targets"))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pa.table({"note": [A]}), "there is no column stage_arn, but 'note'"),
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


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with moto_s3() as endpoint:
        yield endpoint


def test_list_on_s3_is_read_with_the_runs_own_credentials(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It comes in parts, and may have any form; one that is not there is a list that can't be read."""
    names = {"ACCESS_KEY_ID": "own", "SECRET_ACCESS_KEY": "own", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**names, "ENDPOINT_URL_S3": s3_endpoint}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="lists")
    rows: list[tuple[str | None, ...]] = [(A, S1, f"{number:064}") for number in range(80_000)]
    for key, content in {"a b/ä.csv": as_csv(rows), "x.parquet": as_parquet(rows)}.items():
        client.put_object(Bucket="lists", Key=key, Body=content)
    client.put_object(Bucket="lists", Key="wrong", Body=b"stage")
    assert read("s3://lists/a b/ä.csv", None, open_on_s3).count == 80_000
    assert read("s3://lists/x.parquet", None, open_on_s3).count == 80_000
    for address, reason in {
        "s3://lists/wrong": "s3://lists/wrong:1: ",
        "s3://lists/missing": "s3://lists/missing can't be read: there is no such object",
        "s3://nowhere/x": "s3://nowhere/x can't be read: there is no such object",
        "s3://lists": "'s3://lists' is not s3://bucket/key",
    }.items():
        assert main(["run", "--targets", address, "--lake", str(tmp_path / "lake")]) == exit_codes.USAGE
        message = json.loads(capfd.readouterr().err.splitlines()[-1])["message"]  # moto logs, too
        assert message.startswith(reason)


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
@given(index=st.integers(0, 10_000), value=st.integers(0, 255))
def test_damaged_parquet_is_read_or_refused(index: int, value: int, tmp_path: Path) -> None:
    """One wrong byte in a Parquet file ends in a list or in a usage error."""
    content = bytearray(as_parquet([(A, S1, "p"), (B, None, None)]))
    content[index % len(content)] = value
    try:
        read_bytes(tmp_path, bytes(content))
    except UsageError as error:
        assert str(tmp_path) in str(error)  # noqa: PT017 - the list may also be read
