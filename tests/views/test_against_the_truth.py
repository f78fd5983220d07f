"""The views beside plain Python, on twenty worlds of the emulator.

Sessions never end, go over midnight and hold replicas; each tenth LEFT and STOPPED is missing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Account, Emulator, Size
from tests.support.exports import NOW_US, options_of
from tests.support.oracle import micros
from tests.support.view_lakes import on_duckdb, rows_of, write
from tests.support.worlds import world_options
from tests.views import plain_answers
from tests.views.plain_answers import Happened, Interval, Known, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEEDS = range(20)


def moment(at_us: int | None) -> datetime | None:
    return None if at_us is None else EPOCH + timedelta(microseconds=at_us)


def naive(at_us: int | None) -> datetime | None:
    return None if at_us is None else EPOCH.replace(tzinfo=None) + timedelta(microseconds=at_us)


@dataclass
class Worlds:
    """What happened in all worlds, and the same as rows of the lake's tables."""

    events: dict[Unit, list[Happened]] = field(default_factory=dict)
    sessions: dict[tuple[str, str], Known] = field(default_factory=dict)
    replicas: set[Unit] = field(default_factory=set)
    users: dict[Unit, str | None] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    intervals: list[Interval] = field(default_factory=list)

    def take(self, seed: int) -> None:
        """Take one world in. Each has an account of its own, so that no two have a stage in common."""
        account = Account(account_id=f"{seed:012d}")
        shape = {"stages": 4, "sessions": Size(1, 4, 9), "participants": Size(1, 8, 30), "events": Size(1, 12, 60)}
        shares = {"sleepless_share": 0.25, "active_share": 0.5, "replicated_share": 1.0}
        world = world_options(seed=seed, days=3.0, **shape, **shares)
        truth = Emulator(options_of(world, accounts=(account,))).truth()
        dice = random.Random(seed)
        for stage_arn, session_id, shown, *_ in truth.sessions():
            start_us = micros(shown["startTime"])
            end_us = micros(shown.get("endTime"))
            self.sessions[stage_arn, session_id] = Known(end_us, NOW_US)
            self._add("sessions", stage_arn, session_id=session_id, session_start=moment(start_us),
                      session_end=moment(end_us), is_final=end_us is not None)  # fmt: skip
        for *unit, shown, _, _ in truth.participants():
            key = (unit[0], unit[1], unit[2])
            kind, self.users[key] = shown.get("replicationType"), shown.get("userId") or None
            if kind == "REPLICA":
                self.replicas.add(key)
            self._add("participants", unit[0], session_id=unit[1], participant_id=unit[2], replication_type=kind,
                      user_id=self.users[key], is_final=True)  # fmt: skip
        for stage_arn, session_id, participant_id, event in truth.events():
            if event["name"] not in plain_answers.STOPS or dice.random() > 0.1:
                self._add_event((stage_arn, session_id, participant_id), event)

    def _add_event(self, unit: Unit, event: dict[str, Any]) -> None:
        at_us, event_id = micros(event["eventTime"]), len(self.rows["events"])
        assert at_us is not None
        remote, there = event.get("remoteParticipantId") or None, event.get("destinationSessionId") or None
        self.events.setdefault(unit, []).append(Happened(at_us, event["name"], remote or there or "", event_id))
        self._add("events", unit[0], session_id=unit[1], participant_id=unit[2], event_id=event_id,
                  event_time=moment(at_us), event_name=event["name"], remote_participant_id=remote,
                  destination_session_id=there, replica=event.get("replica"),
                  error_code=event.get("errorCode") or None)  # fmt: skip

    def _add(self, table: str, stage_arn: str, **columns: Any) -> None:
        self.rows[table].append({"stage_arn": stage_arn, "exported_at": moment(NOW_US), **columns})


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    """Twenty worlds."""
    made = Worlds()
    for seed in SEEDS:
        made.take(seed)
    made.intervals = plain_answers.intervals(made.events, made.sessions)
    return made


@pytest.fixture(scope="module")
def views(worlds: Worlds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views of their lake, on a machine far from UTC."""
    lake = tmp_path_factory.mktemp("worlds")
    write(lake, worlds.rows, parts=2)
    with on_duckdb(lake, zone="Pacific/Auckland") as connection:
        yield connection


def test_the_worlds_have_what_is_hard(worlds: Worlds) -> None:
    """Else the others show nothing."""
    assert {one.reason for one in worlds.intervals} >= {"stopped", "left", "session_end", "open", "restarted"}
    assert {one.kind for one in worlds.intervals} == {"join", "publish", "subscribe", "replication"}
    assert sum(known.end_us is None for known in worlds.sessions.values()) > 20
    assert len(worlds.replicas) > 5
    days = {one.start_us // plain_answers.DAY_US - one.high_us // plain_answers.DAY_US for one in worlds.intervals}
    assert min(days) < -1


def test_intervals(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Each with its end, its reason, and whose it is."""
    found = rows_of(views, "SELECT * FROM intervals")
    assert sorted(
        (row["stage_arn"], row["session_id"], row["participant_id"], row["kind"], row["peer"], str(row["started_at"]),
         str(row["ended_at"]), str(row["until_max_at"]), row["end_reason"], row["is_replica"])
        for row in found
    ) == sorted(
        (*one.unit, one.kind, one.peer, str(naive(one.start_us)), str(naive(one.end_us)), str(naive(one.high_us)),
         one.reason, one.unit in worlds.replicas)
        for one in worlds.intervals
    )  # fmt: skip


def test_concurrency(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Peak and level of each minute with a change, of all and without replicas."""
    found = {
        (row["stage_arn"], row["session_id"], row["kind"], row["minute"]):
            [row["peak"], row["at_end"], row["peak_own"], row["at_end_own"]]
        for row in rows_of(views, "SELECT * FROM concurrency_by_minute")
    }  # fmt: skip
    plain = plain_answers.concurrency(worlds.intervals, worlds.replicas)
    assert found == {(*key[:3], naive(key[3] * plain_answers.MINUTE_US)): levels for key, levels in plain.items()}


def test_viewers(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Of each minute with a change, each viewer once; and the most of a session are those of its summary."""
    rows = rows_of(views, "SELECT * FROM viewers_by_minute")
    found = {
        (row["stage_arn"], row["session_id"], row["minute"]):
            [row["peak"], row["at_end"], row["peak_own"], row["at_end_own"]]
        for row in rows
    }  # fmt: skip
    plain = plain_answers.concurrency(plain_answers.viewings(worlds.intervals), worlds.replicas)
    assert found == {(*key[:2], naive(key[3] * plain_answers.MINUTE_US)): levels for key, levels in plain.items()}
    by_summary = views.execute("SELECT session_id, peak_viewers FROM session_summary WHERE peak_viewers > 0")
    by_minute = "SELECT session_id, max(peak) FROM viewers_by_minute GROUP BY stage_arn, session_id"
    assert sorted(by_summary.fetchall()) == sorted(views.execute(by_minute).fetchall())


def test_attempts(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """And those that failed, and of how many people."""
    found = {
        (row["stage_arn"], (row["day"] - EPOCH.date()).days, row["what"]):
            [row[name] for name in ("attempts", "failed", "participants", "participants_failed", "participants_never")]
        for row in rows_of(views, "SELECT * FROM attempts")
    }  # fmt: skip
    assert found == plain_answers.attempts(worlds.events)


def test_hours(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """By stage and UTC day, low and high, of them guessed, of them replicas'."""
    found = {
        (row["stage_arn"], (row["day"] - EPOCH.date()).days): [row["joins"], *(
            row[name] * 3.6e9
            for name in ("hours_low", "hours_high", "guessed_hours_low", "guessed_hours_high", "replica_hours_low",
                         "replica_hours_high")
        )]
        for row in rows_of(views, "SELECT * FROM participant_hours")
    }  # fmt: skip
    plain = plain_answers.hours(worlds.intervals, worlds.replicas)
    assert found == {key: pytest.approx(counts) for key, counts in plain.items()}


def test_watch_time(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Who watched whom how long, from when to when, with both users."""
    found = {
        (row["stage_arn"], row["session_id"], row["viewer_id"], row["publisher_id"] or ""):
            (row["watch_s"], row["first_at"], row["last_at"], row["viewer_user_id"], row["publisher_user_id"])
        for row in rows_of(views, "SELECT * FROM watch_time")
    }  # fmt: skip
    assert found == {
        key: (pytest.approx(long_us / 1e6), naive(first_us), naive(last_us), worlds.users[key[0], key[1], key[2]],
              worlds.users.get((key[0], key[1], key[3])))
        for key, (long_us, first_us, last_us) in plain_answers.watch_time(worlds.intervals).items()
    }  # fmt: skip


def test_waits(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Of how many, and the percentiles by nearest rank."""
    found = {
        (row["stage_arn"], row["what"]): (row["participants"], row["of_participants"], row["p50_s"], row["p95_s"])
        for row in rows_of(views, "SELECT * FROM waits")
    }
    assert found == {
        key: (some, of_all, *(None if wait is None else pytest.approx(wait / 1e6) for wait in percentiles))
        for key, (some, of_all, *percentiles) in plain_answers.waits(worlds.events).items()
    }


def test_summaries(worlds: Worlds, views: duckdb.DuckDBPyConnection) -> None:
    """Sessions' counts and sums, and participants' sums add up to them."""
    found = {(row["stage_arn"], row["session_id"]): row for row in rows_of(views, "SELECT * FROM session_summary")}
    assert set(found) == set(worlds.sessions)
    peaks = plain_answers.peak_viewers(worlds.intervals)
    for session, row in found.items():
        own = [one for one in worlds.intervals if one.unit[:2] == session]
        stays = [one for one in own if one.kind == "join"]
        assert row["participants"] == sum(unit[:2] == session for unit in {*worlds.users, *worlds.events})
        assert row["publishers"] == len({one.unit for one in own if one.kind == "publish"})
        assert row["viewers"] == len({one.unit for one in own if one.kind == "subscribe"})
        assert row["peak_viewers"] == peaks[session]
        assert row["rejoins"] == len(stays) - len({one.unit for one in stays})
        lows, highs = sum(one.low_us - one.start_us for one in stays), sum(one.high_us - one.start_us for one in stays)
        assert (row["connected_low_s"] * 1e6, row["connected_high_s"] * 1e6) == pytest.approx((lows, highs))
    for name in ("publish_s", "watch_s", "errors"):
        by_session, by_participant = (
            views.execute(f"SELECT sum({name}) FROM {view}").fetchall()[0][0]
            for view in ("session_summary", "participant_summary")
        )
        assert by_session == pytest.approx(by_participant)
