"""Which columns of a list are refused, in each form of lists, and which are passed over."""

from __future__ import annotations

import csv
import io
import json
import random
import string
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.discovery.target_formats.columns import find_columns
from exporter.discovery.target_list import Targets, read
from exporter.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

STAGE = "arn:aws:ivs:eu-west-1:123456789012:stage/RT2YpoFCWIaB"
SESSION = "st-KhbAa0jLi3M61"
PARTICIPANT = "MfTHlkKoXLg9"
BASE: dict[str, dict[str, Any]] = {
    "stage": {"stage_arn": STAGE},
    "session": {"stage_arn": STAGE, "session_id": SESSION},
}
FORMS = ["csv", "tsv", "json", "jsonl", "parquet"]


def words(text: str) -> list[str]:
    return text.split()


#: Beside `stage_arn` alone, whatever the cells are.
SESSIONS = words("""
    session sess SESS sid sessid sesid session_no session_nr session_num session_number sessionNumber
    session_key session_ref session_hash session_uuid session_arn sessionIDs session_ids my_session_id
    session_max session_last last_session latestSession first_session current_session active_session
    activesession ACTIVE-SESSION-ID source_session_id destination_session_id ivs_session stage_session
    stage_session_id oldest_session sesion_id esssion_id broadcast_id meeting_id stream-id callId
    conference_uuid user_session
""")
#: Beside `stage_arn` and, most of them, `session_id`.
PARTICIPANTS = words("""
    participant participant_no participant_num participant_key participant_uuid old_participant_id particpantId
    remote_participant_id first_participant pid jti user_id userid userIDs user_ids users_id publisher_id
    subscriberId viewer_uuid viewer-number member_id attendee_id peer_id client_id identity_id guest_id userKey
    external_user_id user_ref user_hash
""")
PERSONS = words("""
    member peer identity attendee uid client guest viewer publisher subscriber user active_viewer
""")

#: Beside `stage_arn` and beside both, for their names say that they are another thing.
HARMLESS = words("""
    user_name username session_name session_start session_end sessionStart session_date session_duration
    session_type session_length session_title session_start_time session_count sessions_per_day viewers
    viewer_hours viewer_cap viewercount viewer_count number_of_viewers expected_viewers peak_viewers users
    no_of_users num_users created_by_user created_by_user_id user_agent user_agent_id user_group user_group_id
    tags.user is_user_managed publisher_region subscriber_plan meeting_room meeting_notes conference_name
    broadcast_type broadcaster stream_key host_id host participant_name participantcount participantCount
    participant_count participants_total max_participants numparticipants nr_participants member_account_id name
    date count region account account_id note tags stage_name owner run_id event_id mission_id version_id
    season_id message id key row state customer_id peers
""")

#: Cells under names that say nothing of the kind.
SESSION_CELLS = ["id", "ids", "stream", "Sitzung", "sesión", "セッション", "value", "note", "user", "", " "]
PARTICIPANT_CELLS = ["id", "who", "Teilnehmer", "viewers", "speaker", "customer_id", "", "Unnamed: 2"]
#: Cells that are no ids, under a name that says nothing.
ORDINARY_CELLS = [
    *words("""
        TownHall2026 JohnMcDonald Q4TownHall26 iPhone15Pro9 Room12Floor3 McDonaldJr24 GlobalSummit springsummer
        SPRINGSUMMER 123456789012 20261123T10Z 2026-11-23 2026-11-23T10:00:00Z eu-west-1 a3f9c2d41b7e 0 1 -1 3.5
        1,204 true x alice st-pauls st-active st-louis-live
    """),
    *("St. Pauls", "Anna Maria B", "", " ", "see st-KhbAa0jLi3M61 for more", "x" * 5000),
]


def made(form: str, rows: list[dict[str, Any]]) -> bytes:
    """A list in one of the forms; its columns are those of the first row."""
    names = list(rows[0])
    match form:
        case "csv" | "tsv":
            text = io.StringIO()
            writer = csv.writer(text, delimiter="\t" if form == "tsv" else ",", lineterminator="\n")
            writer.writerows([names, *(row.values() for row in rows)])
            return text.getvalue().encode()
        case "json":
            return json.dumps(rows).encode()
        case "jsonl":
            return "\n".join(map(json.dumps, rows)).encode()
        case _:
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_arrays([pa.array([row[name] for row in rows]) for name in names], names), sink)
            return sink.getvalue()


def of(tmp_path: Path, content: bytes) -> Targets:
    (tmp_path / "targets").write_bytes(content)
    return read(str(tmp_path / "targets"))


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(UsageError) as refused:
        of(tmp_path, content)
    assert "\n" not in str(refused.value)
    return str(refused.value)


RESEMBLING = [
    *(("stage", name, "session_id") for name in SESSIONS),
    *(("session", name, "participant_id") for name in [*PARTICIPANTS, *PERSONS]),
    *(("stage", name, "participant_id") for name in PARTICIPANTS),
]


@pytest.mark.parametrize(("beside", "name", "meant"), RESEMBLING)
def test_name_that_resembles_what_is_missing_is_refused(beside: str, name: str, meant: str) -> None:
    """An absent column stands for all, and the error says of what."""
    below = {"session_id": "whole stages", "participant_id": "whole sessions"}[meant]
    with pytest.raises(ValueError, match=f"^the column {name!r} is none of") as refused:
        find_columns([*BASE[beside], name])
    assert f"did you mean {meant}? Rename it to {meant}, or leave it out to export {below}" in str(refused.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("beside", "name", "meant"), RESEMBLING[::20])
def test_names_are_looked_at_in_every_form(form: str, beside: str, name: str, meant: str, tmp_path: Path) -> None:
    """Whatever the cells are."""
    for cell in ("x", 7):
        said = refusal(tmp_path, made(form, [BASE[beside] | {name: cell}]))
        assert f"the column {name!r} is none of" in said
        assert f"Rename it to {meant}" in said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("beside", BASE)
@pytest.mark.parametrize("cell", ["x", 7])
def test_names_of_other_things_are_passed_over(form: str, beside: str, cell: str | int, tmp_path: Path) -> None:
    """All at once, and one by one is the same: no name is judged by another's."""
    targets = of(tmp_path, made(form, [BASE[beside] | dict.fromkeys(HARMLESS, cell)]))
    assert targets.sessions(STAGE) == ([SESSION] if beside == "session" else None)


def test_rows_of_the_views_are_lists(tmp_path: Path) -> None:
    """What a query of a view gives is a list: counts choose nothing, nor does a pair of viewer and publisher."""
    views: dict[str, dict[str, Any]] = {
        "session_summary": {"stage_name": "x", "participants": 3, "publishers": 1, "viewers": 2, "peak_viewers": 2},
        "watch_time": {"viewer": PARTICIPANT, "publisher": PARTICIPANT, "viewer_user_id": "u", "watch_s": 1.5},
    }
    for form in FORMS:
        for columns in views.values():
            assert of(tmp_path, made(form, [BASE["session"] | columns])).participants(STAGE, SESSION) is None
        for columns in ({"what": "join_to_publish", "participants": 3}, {"day": "2026-11-23", "participants": 1204}):
            assert of(tmp_path, made(form, [BASE["stage"] | columns])).sessions(STAGE) is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("beside", "name", "meant"),
    [
        *(("stage", name, "session_id") for name in ("sessions", "stage_sessions")),
        *(("session", name, "participant_id") for name in ("participants", "all participants")),
    ],
)
def test_counts_hold_numbers(form: str, beside: str, name: str, meant: str, tmp_path: Path) -> None:
    """A plural is a count; what is no number under it chooses, whatever it looks like."""
    for number in ("12", "1,204", "-", "n/a", "", "1.2k", 3):
        assert of(tmp_path, made(form, [BASE[beside] | {name: number}])).count == 1
    for other in ("p", "p1 p2", "1" * 100):
        said = refusal(tmp_path, made(form, [BASE[beside] | {name: other}]))
        assert f"the column {name!r} holds what is no number: did you mean {meant}? Rename it to {meant}" in said
    if form in ("json", "jsonl", "parquet"):
        refusal(tmp_path, made(form, [BASE[beside] | {name: ["p"]}]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("beside", "name", "cell"),
    [
        *(("stage", name, SESSION) for name in [*SESSION_CELLS, "session_name"]),
        *(("session", name, PARTICIPANT) for name in PARTICIPANT_CELLS),
        *(("stage", name, PARTICIPANT) for name in ("id", "")),
        ("stage", "list", f"{SESSION}, st-0000000000000"),
        ("session", "list", f'["{PARTICIPANT}","abCDEf12GHIj"]'),
    ],
)
def test_cells_that_look_like_ids_are_refused(form: str, beside: str, name: str, cell: str, tmp_path: Path) -> None:
    """Whichever row they stand in, and whatever the column is called; the error names the line."""
    rows = [BASE[beside] | {name: value} for value in ("x", None, cell)]
    said = refusal(tmp_path, made(form, rows))
    meant = "session_id" if SESSION in cell else "participant_id"
    named = f"the column {name!a}" if name.strip() else f"column {len(BASE[beside]) + 1}, without a name,"
    assert named in said
    assert f"which looks like a {meant}: did you mean {meant}? Rename it to {meant}, or leave it out" in said
    assert {"csv": ":4: ", "tsv": ":4: ", "json": ":1: item 3: ", "jsonl": ":3: ", "parquet": ":3: "}[form] in said


@pytest.mark.parametrize("form", FORMS)
def test_ordinary_cells_are_passed_over(form: str, tmp_path: Path) -> None:
    """Names, dates, regions, accounts and numbers are no ids, under any name or none."""
    for beside in BASE.values():
        for name in ("", "note", "value"):
            of(tmp_path, made(form, [beside | {name: cell} for cell in ORDINARY_CELLS]))
    for name in ("stream_key", "channel_id", "run_id", "composition_id"):
        of(tmp_path, made(form, [BASE["session"] | {name: PARTICIPANT}]))


@pytest.mark.parametrize("form", FORMS)
def test_ids_beside_their_own_columns_are_passed_over(form: str, tmp_path: Path) -> None:
    """Where all three are there, nothing is missing."""
    others = {"stream": SESSION, "active_session_id": SESSION, "remote_participant_id": "x", "viewer": PARTICIPANT}
    row = BASE["session"] | {"participant_id": "p"} | others | {"sessions": "a", "user_id": "u", "": PARTICIPANT}
    assert of(tmp_path, made(form, [row])).participants(STAGE, SESSION) == ["p"]


def test_what_aws_prints_of_stages_is_taken(tmp_path: Path) -> None:
    """A stage's name is anything, and the session that goes on is not chosen by it."""
    stage = {"arn": STAGE, "name": SESSION, "activeSessionId": SESSION, "tags": {"session": SESSION}}
    for answer in ({"stages": [stage]}, [stage]):
        assert of(tmp_path, json.dumps(answer).encode()).sessions(STAGE) is None


@pytest.mark.parametrize("form", ["csv", "tsv", "json", "jsonl"])
def test_cell_that_slipped_below_no_name_is_refused(form: str, tmp_path: Path) -> None:
    """Beside an id's own column, too, where its cell is empty; a row that is whole has nothing missing."""
    whole = {"stage_arn": STAGE, "session_id": SESSION, "participant_id": PARTICIPANT, "": SESSION}
    assert of(tmp_path, made(form, [whole])).count == 1
    for name in ("", "Unnamed: 3"):
        said = refusal(tmp_path, made(form, [{"stage_arn": STAGE, "session_id": "", name: SESSION}]))
        assert "which looks like a session_id, and session_id is empty: move it there, or leave it out" in said
        row = {"stage_arn": STAGE, "session_id": SESSION, "participant_id": None, name: PARTICIPANT}
        assert "which looks like a participant_id" in refusal(tmp_path, made(form, [row]))
        assert of(tmp_path, made(form, [{"stage_arn": STAGE, "session_id": "", name: "7"}])).sessions(STAGE) is None


def test_arrays_of_ids_in_json_are_refused(tmp_path: Path) -> None:
    """An array is as many cells."""
    assert "'streams' holds" in refusal(tmp_path, made("json", [BASE["stage"] | {"streams": ["x", SESSION]}]))
    assert of(tmp_path, made("json", [BASE["stage"] | {"streams": ["x", {}, 3]}])).sessions(STAGE) is None


@pytest.mark.parametrize("options", [{"use_dictionary": False}, {"compression": "zstd", "row_group_size": 1000}])
def test_late_cells_of_large_parquet_are_found(options: dict[str, Any], tmp_path: Path) -> None:
    """In any batch, with the row's number, in dictionaries and plain pages."""
    cells = ["x"] * 200_000
    cells[150_001] = SESSION
    table = pa.table({"stage_arn": [STAGE] * len(cells), "n": range(len(cells)), "other": cells})
    pq.write_table(table, tmp_path / "targets", **options)
    with pytest.raises(UsageError, match=":150002: the column 'other' holds 'st-KhbAa0jLi3M61'"):
        read(str(tmp_path / "targets"))


def test_most_ids_of_participants_are_known_by_their_look(tmp_path: Path) -> None:
    """As they are made at random; a list has several, and one is enough."""
    choose = random.Random(1)
    rows = [
        BASE["session"] | {"x": "".join(choose.choices(string.ascii_letters + string.digits, k=12))} for _ in range(20)
    ]
    assert "which looks like a participant_id" in refusal(tmp_path, made("csv", rows))
