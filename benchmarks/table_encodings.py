"""What each choice of encoding costs and gains in the tables beside ``events``: bytes a row, by the rows in a file.

Made-up stages, sessions and participants are written as the exporter writes them, with one option changed at a time.
Sessions have 2 to 10,000 participants, most of them few; ids are UUIDs; users come back; providers, systems and
browsers are uneven. Beside the bytes stands the processor's time for a million rows in the largest files.

    .venv/bin/python -m benchmarks.table_encodings            200,000 participants
    .venv/bin/python -m benchmarks.table_encodings --quick    some thousand
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.encodings import ROWS, as_written, figure_of
from benchmarks.figures import Figure, show
from exporter.lake.parquet import writer_options
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES
from exporter.model import Session
from exporter.normalize.columns import Stamp
from exporter.normalize.listed_model import ListedParticipant, ListedSession, ListedStage, ParticipantDetails
from exporter.normalize.participants import NoDetails, ParticipantRow, participant_rows
from exporter.normalize.sessions import SessionCounts, SessionRow, session_rows
from exporter.normalize.stages import StageRow, stage_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from exporter.lake.tables.table import Table

_PARTICIPANTS, _PARTICIPANTS_QUICK = 200_000, 5_000
_STAGES, _USERS = 60, 100_000
_SESSION_MIN, _SESSION_MAX = 2, 10_000
_START_US, _WEEK_US, _HOUR_US = 1_768_176_000_000_000, 7 * 86_400_000_000, 3_600_000_000
_CHECKPOINT_US, _ROWS_A_CHECKPOINT = 300_000_000, 1_500
_ARN = "arn:aws:ivs:us-east-1:111122223333:stage/"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ISPS = [f"Provider {number} Communications" for number in range(30)]
_SYSTEMS = ["Windows", "iOS", "Android", "macOS", "Linux", "Chrome OS"]
_BROWSERS = [f"Browser {number}" for number in range(12)]
_VERSIONS = [f"{major}.{minor}.0" for major in range(110, 150) for minor in range(3)]
_SDKS = [f"1.{number}.0" for number in range(9)]


@dataclass
class _World:
    """Everything, in the order in which it is written; ``described`` are the participants with details."""

    stages: list[StageRow]
    sessions: list[SessionRow]
    listed: list[ParticipantRow]
    described: list[ParticipantRow]


def _world(participants: int) -> _World:
    rng = Random(14)  # noqa: S311 - made-up data
    stages = [_stage(rng, number) for number in range(_STAGES)]
    users = [f"user-{rng.getrandbits(32):08x}" for _ in range(_USERS)]
    world = _World([StageRow(stage, is_listed=True) for stage in stages], [], [], [])
    starts_us = iter(sorted(_START_US + rng.randrange(_WEEK_US) for _ in range(participants)))
    while len(world.listed) < participants:
        stage, started_us = rng.choice(stages), next(starts_us)
        count = min(_SESSION_MAX, int(_SESSION_MIN * rng.paretovariate(0.6)))
        session = Session(stage.arn, f"st-{_text(rng, 13)}", started_us, started_us + rng.randrange(4 * _HOUR_US))
        world.sessions.append(
            SessionRow(
                stage,
                ListedSession(session.session_id, session.started_us, session.ended_us),
                SessionCounts(count, count * rng.randint(4, 40), 0),
                is_complete=True,
                is_final=True,
            )
        )
        for _ in range(count):
            listed = _listed(rng, rng.choice(users), started_us)
            world.listed.append(ParticipantRow(session, listed, NoDetails.OFF, is_final=True))
            world.described.append(ParticipantRow(session, listed, _details(rng), is_final=True))
    return world


def _stage(rng: Random, number: int) -> ListedStage:
    tags = {"env": rng.choice(["prod", "staging"]), "team": f"team-{number % 7}", "cost-center": f"{number % 11:04d}"}
    return ListedStage(_ARN + _text(rng, 12), f"Show number {number}", tags)


def _listed(rng: Random, user: str, started_us: int) -> ListedParticipant:
    return ListedParticipant(
        participant_id=str(UUID(int=rng.getrandbits(128))),
        user_id=user,
        first_join_us=started_us + int(rng.expovariate(1 / 600) * 1_000_000),
        published=rng.random() < 0.1,  # noqa: PLR2004 - the share of those who publish
        recording_state="DISABLED",
        replication_type="NONE",
    )


def _details(rng: Random) -> ParticipantDetails:
    return ParticipantDetails(
        attributes={"displayName": f"Name {rng.randrange(_USERS)}", "role": rng.choice(["viewer", "host"])},
        isp_name=_uneven(rng, _ISPS),
        os_name=_uneven(rng, _SYSTEMS),
        os_version=_uneven(rng, _VERSIONS),
        browser_name=_uneven(rng, _BROWSERS),
        browser_version=_uneven(rng, _VERSIONS),
        sdk_version=_uneven(rng, _SDKS),
        protocol="UNKNOWN",
    )


def _uneven(rng: Random, values: Sequence[str]) -> str:
    return values[min(len(values) - 1, int(rng.paretovariate(0.9)) - 1)]


def _text(rng: Random, length: int) -> str:
    return "".join(rng.choices(_ALPHABET, k=length))


def _batches(make: Callable[[Any, Stamp], pa.RecordBatch], rows: Sequence[Any]) -> Iterator[pa.RecordBatch]:
    """The rows as a run commits them, a checkpoint after another."""
    for number, start in enumerate(range(0, len(rows), _ROWS_A_CHECKPOINT)):
        stamp = Stamp("20260119T030000Z-benchmark", _START_US + _WEEK_US + number * _CHECKPOINT_US)
        yield make(rows[start : start + _ROWS_A_CHECKPOINT], stamp)


def _variants(
    table: Table, *, times: Iterable[str] = (), texts: Iterable[str] = (), nested: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """What is changed, and the options that change it: of some times and texts each encoding, dictionaries in maps."""
    usual = writer_options(table)

    def encoded(name: str, encoding: str) -> dict[str, Any]:
        others = {path: kind for path, kind in usual["column_encoding"].items() if path != name}
        return {
            "use_dictionary": [path for path in usual["use_dictionary"] if path != name],
            "column_encoding": others | {name: encoding},
        }

    def with_dictionaries(names: Iterable[str]) -> dict[str, Any]:
        return {
            "use_dictionary": sorted({*usual["use_dictionary"], *names}),
            "column_encoding": {path: kind for path, kind in usual["column_encoding"].items() if path not in names},
        }

    kinds = [(name, ("PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT")) for name in times]
    kinds += [(name, ("PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY")) for name in texts]
    return {
        "as it is": {},
        **{f"zstd level {level}": {"compression_level": level} for level in (3, 9, 19)},
        **{f"{name} {encoding}": encoded(name, encoding) for name, encodings in kinds for encoding in encodings},
        **{f"{name} a dictionary": with_dictionaries([name]) for name in (*times, *texts)},
        **{f"dictionaries in {name}": with_dictionaries(_paths(name)) for name in nested},
        "data pages of version 2": {"data_page_version": "2.0"},
    }


def _paths(name: str) -> list[str]:
    return [f"{name}.key_value.key", f"{name}.key_value.value"]


def _table_figures(name: str, table: Table, rows: pa.Table, variants: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(f"{name}: rows in a file", " ".join(f"{count:>7,}" for count in ROWS))
    yield figure_of(f"{name}: pyarrow's defaults", rows, {})
    for variant, changed in variants.items():
        yield figure_of(f"{name}: {variant}", rows, writer_options(table) | changed)


def _in_seconds(rows: pa.Table, name: str) -> pa.Table:
    cut = pc.multiply(pc.divide(rows.column(name).cast(pa.int64()), 1_000_000), 1_000_000)
    index = rows.schema.get_field_index(name)
    return rows.set_column(index, rows.schema.field(name), cut.cast(rows.schema.field(name).type))


def figures(*, quick: bool) -> Iterator[Figure]:
    """Bytes a row of each variant of each table, for each number of rows in a file."""
    world = _world(_PARTICIPANTS_QUICK if quick else _PARTICIPANTS)
    # A lake has few stages: what their table takes is a file's own bytes.
    stages = as_written(STAGES, _batches(stage_rows, world.stages))
    yield from _table_figures("stages", STAGES, stages, _variants(STAGES, times=["exported_at"], nested=["tags"]))
    sessions = as_written(SESSIONS, _batches(session_rows, world.sessions))
    of_sessions = _variants(
        SESSIONS, times=["session_start", "session_end", "exported_at"], texts=["session_id"], nested=["stage_tags"]
    )
    yield from _table_figures("sessions", SESSIONS, sessions, of_sessions)
    of_participants = _variants(
        PARTICIPANTS,
        times=["session_start", "first_join_time", "exported_at"],
        texts=["participant_id", "user_id"],
        nested=["attributes"],
    )
    for name, own in (("participants", world.listed), ("with details", world.described)):
        rows = as_written(PARTICIPANTS, _batches(participant_rows, own))
        yield from _table_figures(name, PARTICIPANTS, rows, of_participants)
    listed = _in_seconds(as_written(PARTICIPANTS, _batches(participant_rows, world.listed)), "first_join_time")
    joins = {name: changed for name, changed in of_participants.items() if "first_join" in name or name == "as it is"}
    yield from _table_figures("whole seconds", PARTICIPANTS, listed, joins)


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
