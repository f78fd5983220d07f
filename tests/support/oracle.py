"""What the lake must hold, derived independently of the exporter's own code: from a raw event to a row, by hand.

A row is a tuple that can be compared and counted: its unit, then every column that the API decides. Times are in
microseconds since the epoch, tokens and what has no column are canonical JSON.
"""

from __future__ import annotations

import calendar
import json
import re
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from exporter.emulator import Emulator
    from exporter.emulator.truth import Truth
    from exporter.emulator.world.world import Listing

Row = tuple[Any, ...]
UnitKey = tuple[str, str, str]

#: The texts that have a column of their own, by the service's names.
_TEXTS = {
    "name": "event_name",
    "remoteParticipantId": "remote_participant_id",
    "errorCode": "error_code",
    "destinationStageArn": "destination_stage_arn",
    "destinationSessionId": "destination_session_id",
}
_TOKENS = {"previousToken": "previous_token", "newToken": "new_token"}
_COLUMNS = (
    "account_id",
    "region",
    "stage_arn",
    "session_id",
    "participant_id",
    "event_time",
    *_TEXTS.values(),
    "replica",
    *_TOKENS.values(),
    "extra",
)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:(Z)|([+-])(\d\d):?(\d\d))?")


def micros(text: object) -> int | None:
    """An ISO time in microseconds since the epoch, finer digits cut off; None where it is none."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    minute, second, fraction, _, sign, hours, minutes = match.groups()
    year, month, day, hour, of_hour = map(int, re.split("[-T:]", minute))
    try:
        date(year, month, day)
    except ValueError:
        return None
    if hour > 23 or of_hour > 59 or int(second or 0) > 59:
        return None
    offset_s = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1) if sign else 0
    moment_s = calendar.timegm((year, month, day, hour, of_hour, int(second or 0))) - offset_s
    return moment_s * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0"))


def expected_row(unit: UnitKey, event: dict[str, Any]) -> Row | None:
    """The row of one event; None where it has no time that can be read, and so is a reject."""
    stage_arn, _, participant_id = unit
    *_, region, account_id, _ = stage_arn.split(":")
    row: dict[str, Any] = dict(zip(_COLUMNS, (account_id, region, *unit), strict=False))
    extra: dict[str, Any] = {}
    for name, value in event.items():
        if value is None or value == "":
            continue
        if name in _TEXTS and isinstance(value, str):
            row[_TEXTS[name]] = value
        elif name in _TOKENS and isinstance(value, dict):
            row[_TOKENS[name]] = _canonical(_expected_token(name, value, extra))
        elif name == "replica" and isinstance(value, bool):
            row[name] = value
        elif name == "eventTime":
            row["event_time"] = micros(value)
        elif name != "participantId" or value != participant_id:
            extra[name] = value
    row["extra"] = _canonical(extra) if extra else None
    return None if row.get("event_time") is None else tuple(row.get(column) for column in _COLUMNS)


def _expected_token(token: str, members: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in members.items():
        is_texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
        is_map = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
        if (name == "capabilities" and is_texts) or (name == "attributes" and is_map):
            shown[name] = value
        elif name == "userId" and isinstance(value, str):
            shown["user_id"] = value
        elif name == "expirationTime" and micros(value) is not None:
            shown["expiration_time"] = micros(value)
        elif value is not None and value != "":
            extra[f"{token}.{name}"] = value
    return {name: value for name, value in shown.items() if value != ""}


def expected(truth: Truth) -> Counter[Row]:
    """Every row of a complete export: of each event that can be dated."""
    rows = (expected_row((ids[0], ids[1], ids[2]), event) for *ids, event in truth.events())
    return Counter(row for row in rows if row is not None)


def expected_rejects(truth: Truth) -> Counter[tuple[str, str]]:
    """Every event that can't be dated: the name of its unit, and its text."""
    return Counter(
        ("/".join(ids), _canonical(event))
        for *ids, event in truth.events()
        if expected_row((ids[0], ids[1], ids[2]), event) is None
    )


def lake_rejects(lake: Path) -> Counter[tuple[str, str]]:
    """What a lake's files of rejects hold, in the same form."""
    lines = [json.loads(line) for file in lake.glob("_rejects/*.jsonl") for line in file.read_bytes().splitlines()]
    return Counter(
        ("/".join((line["stage_arn"], line["session_id"], line["participant_id"])), _canonical(line["event"]))
        for line in lines
    )


def without_units(rows: Counter[Row], names: Iterable[str]) -> Counter[Row]:
    """The rows of all units but those named ``stage/session/participant``."""
    left_out = set(names)
    return Counter({row: count for row, count in rows.items() if unit_name(row) not in left_out})


def unit_name(row: Row) -> str:
    """The name of the unit that a row is of."""
    return "/".join(row[2:5])


def data_files(lake: Path) -> list[Path]:
    """The files that a reader of the lake finds."""
    return sorted(lake.glob("events/**/*.parquet"))


def lake_rows(lake: Path) -> Counter[Row]:
    """Every row that a reader of the lake sees, once it is checked that ids are unique and dates are right."""
    ids: set[tuple[str, int]] = set()
    rows: Counter[Row] = Counter()
    for path in data_files(lake):
        day = date.fromisoformat(path.parent.name.removeprefix("event_date="))
        for row in _plain_rows(pq.ParquetFile(path).read()):
            assert date(1970, 1, 1) + timedelta(microseconds=row["event_time"]) == day
            shown = tuple(row[column] for column in _COLUMNS)
            assert row["run_id"] in path.name
            key = (unit_name(shown), row["event_id"])
            assert key not in ids, f"an event_id stands twice: {key}"
            ids.add(key)
            rows[shown] += 1
    return rows


def _plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    place = table.schema.get_field_index("event_time")
    table = table.set_column(place, "event_time", table.column("event_time").cast(pa.int64()))
    for row in table.to_pylist():
        for name in _TOKENS.values():
            row[name] = None if row[name] is None else _canonical(_plain_token(row[name]))
        row["extra"] = None if row["extra"] is None else _canonical(json.loads(row["extra"]))
        yield row


def _plain_token(token: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in token.items() if value is not None}
    if "attributes" in shown:
        shown["attributes"] = dict(shown["attributes"])
    if "expiration_time" in shown:
        moment = shown["expiration_time"]
        shown["expiration_time"] = calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond
    return shown


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def session_times(emulator: Emulator) -> dict[str, tuple[int, int | None]]:
    """When each listed session began and ended, in microseconds since the epoch; None while it goes on."""
    times: dict[str, tuple[int, int | None]] = {}
    now_us = emulator.clock.now_us
    for scope in emulator.truth().scopes:
        world = emulator.world(scope.account_id, scope.region)
        for stage in _shown(world.stages(now_us)):
            for session in _shown(world.sessions(stage["arn"], now_us)):
                times[session["sessionId"]] = (micros(session["startTime"]) or 0, micros(session.get("endTime")))
    return times


def _shown(listing: Listing) -> list[dict[str, Any]]:
    return [item for item in listing.items(0, listing.count) if isinstance(item, dict)]
