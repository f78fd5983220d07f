"""The lease by itself: who gets a scope, how soon, and who is told that another has it. All time is the test's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from exporter.commit_log.lease import LEASE_S, Holder, read_claim
from exporter.commit_log.process import Process, is_gone, this_process
from exporter.errors import ScopeHeld
from tests.commit_log.lease_runs import FOREIGN, HERE, POLL_S, PREFIX, RENEWAL_S, SINCE, Pausing, Run, holders, put
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.service import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.lake.store import Records

ELSEWHERE = {
    "another host": FOREIGN,
    "another boot": msgspec.structs.replace(HERE, boot="before"),
    "another pid space": msgspec.structs.replace(HERE, pid_space="pid:[1]"),
    "no start told": msgspec.structs.replace(HERE, started=""),
}
#: What a run does about a scope that is held.
ADVICE = "run again when it has ended, or with --wait"
PROCESS_OF_ITS_OWN = """
import sys, msgspec
from exporter.commit_log.process import this_process
sys.stdout.buffer.write(msgspec.json.encode(this_process()) + b"\\n")
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own, which has told who it is on its standard output, and lives until it is ended."""
    command = [sys.executable, "-c", PROCESS_OF_ITS_OWN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def told_by(process: subprocess.Popen[bytes]) -> Process:
    assert process.stdout is not None
    return msgspec.json.decode(process.stdout.readline(), type=Process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it, and do not ask how it ended."""
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


async def test_a_free_scope_is_taken_at_once(records: Records) -> None:
    """Nobody waits for nobody, and what is given back is free again."""
    first, second = Run(records, "r1"), Run(records, "r2")
    assert await first.acquire() == 0
    assert await holders(records) == ["r1"]
    await first.lease.release()
    assert await holders(records) == []
    assert await second.acquire() == 0
    await second.lease.release()


async def test_a_second_run_on_the_same_host_is_told_at_once_who_holds_the_scope(records: Records) -> None:
    """The error names the run, its process, its host and since when; nothing is waited for."""
    first, second = Run(records, "r1"), Run(records, "r2")
    await first.acquire()
    with pytest.raises(ScopeHeld) as raised:
        await second.acquire()
    assert str(raised.value) == (
        f"{SCOPE} is held by run r1, process {os.getpid()} on {HERE.host}, since 2026-11-23T12:00:00Z: {ADVICE}"
    )
    assert second.waited_s == 0
    assert await holders(records) == ["r1"]
    await first.lease.release()


async def test_a_holder_whose_process_has_ended_is_overtaken_at_once(
    records: Records, other: subprocess.Popen[bytes]
) -> None:
    """A process that lives has the scope; once it is killed, even where nobody has asked how it ended, it has not."""
    process = told_by(other)
    await put(records, process)
    with pytest.raises(ScopeHeld, match=f"process {other.pid} on"):
        await Run(records).acquire()
    kill(other)
    assert is_gone(process), "a zombie"
    other.wait()
    run = Run(records)
    assert await run.acquire() == 0
    assert await holders(records) == ["r1"]
    await run.lease.release()


async def test_a_holder_whose_number_another_process_has_now_is_overtaken_at_once(records: Records) -> None:
    """A process of the same number that started at another time is another process."""
    await put(records, msgspec.structs.replace(HERE, started="1"))
    run = Run(records)
    assert await run.acquire() == 0
    await run.lease.release()


@pytest.mark.parametrize("since", ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "never"])
@pytest.mark.parametrize("place", ELSEWHERE)
async def test_a_holder_that_cannot_be_seen_is_dead_when_its_lease_has_not_changed_for_long(
    place: str, since: str, records: Records
) -> None:
    """The waiting run's own monotonic clock decides, whatever the lease says of its time; it waits no longer."""
    await put(records, ELSEWHERE[place], since=since)
    run = Run(records)
    assert LEASE_S <= await run.acquire() <= LEASE_S + POLL_S
    assert await holders(records) == ["r1"]
    await run.lease.release()


async def test_a_holder_that_cannot_be_seen_is_alive_when_it_renews_its_lease(records: Records) -> None:
    """The last moment is early enough; then the waiting run ends, and says who holds the scope."""
    await put(records, FOREIGN)

    async def renew(now_s: float) -> None:
        if now_s == LEASE_S - POLL_S:
            await put(records, FOREIGN, 2)

    run = Run(records, meanwhile=renew)
    with pytest.raises(ScopeHeld, match=f"run r0, process {HERE.pid} on elsewhere, since {SINCE}: {ADVICE}"):
        await run.acquire()
    assert run.waited_s == LEASE_S - POLL_S
    assert await holders(records) == ["r0"]


async def test_a_live_holder_elsewhere_is_known_by_its_next_renewal(records: Records) -> None:
    """Two runs that can't see each other: the second ends within one renewal of the first, and one poll."""
    first = Run(records, "r1", FOREIGN)
    await first.acquire()

    async def renew(now_s: float) -> None:
        if now_s >= RENEWAL_S:
            assert await first.renew() == []

    second = Run(records, "r2", meanwhile=renew)
    with pytest.raises(ScopeHeld, match="run r1"):
        await second.acquire()
    assert second.waited_s <= RENEWAL_S + POLL_S
    await first.lease.release()


async def test_a_waiting_run_that_was_stopped_itself_declares_nobody_dead(records: Records) -> None:
    """Where the waiting run sees nothing for long, the lease has changed when it looks again."""
    await put(records, FOREIGN)

    async def be_stopped(_now_s: float) -> None:
        run.now_s += 10 * LEASE_S
        await put(records, FOREIGN, 2)

    run = Run(records, meanwhile=be_stopped)
    with pytest.raises(ScopeHeld):
        await run.acquire()


async def test_time_in_which_the_lake_does_not_answer_declares_nobody_dead() -> None:
    """A holder that could not renew its lease meanwhile either is given another chance."""
    lake = MemoryStore()
    await put(lake, FOREIGN)

    def be_slow(operation: str, _key: str) -> None:
        if operation == "read":
            run.now_s += LEASE_S

    async def renew(_now_s: float) -> None:
        await put(lake, FOREIGN, 2)

    run = Run(lake, meanwhile=renew)
    lake.after = be_slow
    with pytest.raises(ScopeHeld):
        await run.acquire()


@pytest.mark.parametrize("process", [HERE, FOREIGN], ids=["here", "elsewhere"])
async def test_a_run_that_waits_gets_the_scope_when_it_is_given_back(process: Process, records: Records) -> None:
    """However long the holder renews its lease, it is waited for; what it is and who holds the scope is logged once."""
    first = Run(records, "r1", process)
    await first.acquire()

    async def live_for_ten_minutes(now_s: float) -> None:
        if now_s > 600:
            await first.lease.release()
        elif now_s % 10 == 0:
            assert await first.renew() == []

    second = Run(records, "r2", meanwhile=live_for_ten_minutes)
    with capture_logs() as logs:
        assert 600 < await second.acquire(wait=True) <= 600 + 2 * POLL_S
    assert [line["reason"] for line in logs if line["event"] == "scope_waited_for"] == [
        f"{SCOPE} is held by run r1, process {HERE.pid} on {process.host}, since {SINCE}: {ADVICE}"
    ]
    assert await holders(records) == ["r2"]
    await second.lease.release()


async def test_a_run_that_waits_overtakes_a_holder_that_dies_elsewhere(records: Records) -> None:
    """The time counts from the last change that was seen."""
    await put(records, FOREIGN)

    async def renew_twice(now_s: float) -> None:
        if now_s in (30, 60):
            await put(records, FOREIGN, int(now_s) // 30 + 1)

    run = Run(records, meanwhile=renew_twice)
    assert 60 + LEASE_S <= await run.acquire(wait=True) <= 60 + LEASE_S + POLL_S
    await run.lease.release()


async def test_of_two_that_want_a_dead_lease_one_gets_it(records: Records) -> None:
    """They act at the same time: one holds the scope, and the other is told so."""
    for _ in range(20):
        await put(records, msgspec.structs.replace(HERE, started="1"))
        runs = Run(records, "r1"), Run(records, "r2")
        ended = await asyncio.gather(*(run.acquire() for run in runs), return_exceptions=True)
        [winner] = [run for run in runs if run.is_holding]
        [loss] = [each for each in ended if isinstance(each, BaseException)]
        assert isinstance(loss, ScopeHeld)
        assert f"run {winner.run_id}, " in str(loss)
        assert await holders(records) == [winner.run_id]
        await winner.lease.release()


async def test_one_that_pauses_before_it_takes_a_dead_lease_does_not_take_that_of_the_one_who_did() -> None:
    """Another takes the dead lease and renews it, so that the number that the first wanted is free again."""
    lake = MemoryStore()
    await put(lake, msgspec.structs.replace(HERE, started="1"))
    fast = Run(lake, "fast")

    async def be_overtaken() -> None:
        if not fast.is_holding:
            await fast.acquire()
            assert await fast.renew() == []

    with pytest.raises(ScopeHeld, match="run fast"):
        await Run(Pausing(lake, be_overtaken), "slow").acquire()
    assert await holders(lake) == ["fast"]
    assert await fast.renew() == []
    await fast.lease.release()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 40,
        b"{}",
        b'{"process":{"host":"a","boot":"","pid_space":"","pid":1,"started":""},"run_id":7,"since":""}',
        msgspec.json.encode(Holder(msgspec.structs.replace(HERE, pid=-1), "r0", SINCE)),
        msgspec.json.encode(Holder(msgspec.structs.replace(HERE, pid=1 << 40), "r0", SINCE)),
    ],
    ids=["empty", "zeroes", "no holder", "wrong type", "every process", "no process"],
)
async def test_a_lease_that_cannot_be_read_is_somebodys_until_it_has_not_changed_for_long(
    body: bytes, records: Records
) -> None:
    """It holds nobody up for ever, and is removed by whoever takes the scope."""
    assert await records.create(f"{PREFIX}000000000007.json", body)
    run = Run(records)
    assert LEASE_S <= await run.acquire() <= LEASE_S + POLL_S
    assert await holders(records) == ["r1"]
    await run.lease.release()


async def test_an_unreadable_lease_that_changes_is_a_live_runs() -> None:
    """Of a run whose lease says nothing, that it is there can be said."""
    lake = MemoryStore()
    lake.records[f"{PREFIX}000000000001.json"] = b"?"

    async def renew(_now_s: float) -> None:
        lake.records[f"{PREFIX}000000000002.json"] = b"?"

    with pytest.raises(ScopeHeld, match="is held by another run"):
        await Run(lake, meanwhile=renew).acquire()


def test_a_process_is_alive_only_where_that_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell when a process started, one that is there may be another, and nothing is known."""
    assert is_gone(HERE) is False
    monkeypatch.setattr("exporter.commit_log.process._started", lambda _: "")
    assert is_gone(HERE) is None
    assert is_gone(msgspec.structs.replace(this_process(), pid=1 << 22)) is True


@pytest.mark.parametrize("body", [b"garbage", b'{"run_id":"\xff"}', b'{"process":' + b"[" * 10_000])
async def test_a_lease_that_cannot_be_read_is_waited_for_with_a_word(records: Records, body: bytes) -> None:
    """One line, at once, says what is waited for, how long at most, and what to do; then it is taken over."""
    await records.create(f"{PREFIX}000000000007.json", body)
    assert await read_claim(records, SCOPE) is None
    run = Run(records, "r1")
    with capture_logs() as logs:
        await run.acquire()
    [line] = [line for line in logs if line["event"] == "lease_unreadable"]
    assert (line["log_level"], line["waits_s_max"]) == ("warning", LEASE_S)
    assert line["lease"].endswith("000000000007.json")
    assert "remove" in line["remedy"]
    assert await holders(records) == ["r1"]
    await run.lease.release()
