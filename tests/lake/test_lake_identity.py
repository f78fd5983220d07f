"""The lake's own file, and the stores that no lake may be kept in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.commit_log.reader import scopes_in
from exporter.errors import LakeError, LakeRefused, LakeTooNew, UsageError
from exporter.lake.identity import DEMO_MARKER, KEY, LakeIdentity, look_at_lake, open_lake
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lake.identity import Maker
    from exporter.lake.store import Store

    Seen = Callable[[], Awaitable[set[str]]]


async def open_by(store: Any, run_id: str = "r1", made_by: Maker = "run") -> LakeIdentity:
    return await open_lake(store, "the-lake", made_by, run_id, random.Random(run_id).random)


def written(lake: MemoryStore) -> dict[str, bytes]:
    return {**lake.records, **lake.visible, **{key: data for key, (_, data) in lake.staged.items()}}


async def test_the_first_run_makes_the_lakes_file_and_later_ones_agree(store: Store, seen_at: Seen) -> None:
    """The file alone is left of all that a first run tries out, and no log is read from it."""
    first = await open_by(store, "r1")
    assert await seen_at() == {KEY}
    assert (first.format, first.major, first.made_by, len(first.id)) == ("ivs-export lake", 1, "run", 32)
    assert await open_by(store, "r2") == first
    assert await look_at_lake(store, "the-lake", "run") == first
    assert await seen_at() == {KEY}
    assert await scopes_in(store) == []


async def test_runs_that_begin_at_once_agree_on_one_lake(store: Store, seen_at: Seen) -> None:
    """Whoever is first, all take the same file."""
    found = await asyncio.gather(*(open_by(store, f"r{number}") for number in range(4)))
    assert len({identity.id for identity in found}) == 1
    assert await seen_at() == {KEY}


async def test_two_lakes_are_told_apart() -> None:
    """Each lake's id is its own."""
    assert (await open_by(MemoryStore(), "r1")).id != (await open_by(MemoryStore(), "r2")).id


async def test_a_later_run_asks_little() -> None:
    """One read, and one try that is refused."""
    lake = MemoryStore()
    await open_by(lake)
    asked: Counter[str] = Counter()
    lake.before = lambda operation, _key: asked.update([operation])
    await open_by(lake, "r2")
    assert asked == {"read": 1, "refuses": 1}


async def test_fields_that_this_program_does_not_know_stay() -> None:
    """A newer program's file of the same major version is put again word for word."""
    lake = MemoryStore()
    body = b'{"format":"ivs-export lake","major":1,"minor":7,"id":"x","made_by":"run","colour":"blue"}'
    lake.records[KEY] = body
    assert (await open_by(lake)).id == "x"
    assert lake.records[KEY] is body


@pytest.mark.parametrize(("maker", "other"), [("demo", "run"), ("run", "demo")])
@pytest.mark.parametrize("is_dry", [False, True])
async def test_made_up_data_and_real_data_never_share_a_lake(maker: Maker, other: Maker, *, is_dry: bool) -> None:
    """Neither goes into a lake that the other made, and nothing is written then."""
    lake = MemoryStore()
    await open_by(lake, made_by=maker)
    before = written(lake)
    with pytest.raises(UsageError, match=r"the-lake was (not )?made by `ivs-export demo`"):
        await (look_at_lake(lake, "the-lake", other) if is_dry else open_by(lake, "r2", other))
    assert written(lake) == before


@pytest.mark.parametrize("is_dry", [False, True])
async def test_a_lake_of_an_old_demo_is_known_by_its_marker(*, is_dry: bool) -> None:
    """A lake without the file is a demo's where the old marker lies in it; a demo goes on with it."""
    lake = MemoryStore()
    lake.visible[DEMO_MARKER] = b"x"
    with pytest.raises(UsageError, match="made-up data: set another `lake`"):
        await (look_at_lake(lake, "the-lake", "run") if is_dry else open_by(lake))
    assert written(lake) == {DEMO_MARKER: b"x"}
    assert (await open_by(lake, made_by="demo")).made_by == "demo"


async def test_a_dry_run_writes_nothing() -> None:
    """A lake that is not there yet is looked at, and not made."""
    lake = MemoryStore()
    assert await look_at_lake(lake, "the-lake", "run") is None
    assert written(lake) == {}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", LakeError, "is damaged"),
        (b"\x00" * 80, LakeError, "is damaged"),
        (b"[]", LakeError, "is damaged"),
        (b"{}", LakeError, "is damaged"),
        (b'{"id":7,"made_by":"run"}', LakeError, "is damaged"),
        (b'{"format":"another","major":1,"id":"x","made_by":"run"}', LakeError, "is no lake's file"),
        (b'{"format":"ivs-export lake","major":2,"id":"x","made_by":"run"}', LakeTooNew, "is of version 2"),
        (b'{"format":"ivs-export lake","major":1,"id":"x","made_by":"magic"}', UsageError, "was not made by"),
    ],
)
async def test_a_file_that_is_none_is_refused(body: bytes, kind: type[Exception], said: str) -> None:
    """A damaged file, another program's, or a newer version's, is named and left as it is."""
    lake = MemoryStore()
    lake.records[KEY] = body
    with pytest.raises(kind, match=said):
        await open_by(lake)
    assert written(lake) == {KEY: body}


class Careless(MemoryStore):
    """A store that makes a record as often as it is asked to, as one that passes over `If-None-Match` does."""

    async def create(self, key: str, body: bytes) -> bool:
        self.records[key] = body
        return True

    async def refuses(self, key: str, body: bytes) -> bool:
        self.records[key] = body
        return False


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_store_that_makes_a_record_twice_is_not_used(*, is_new: bool) -> None:
    """Each run finds out, in a new lake and in one that was carried there; nothing of its file is lost."""
    lake = Careless()
    if not is_new:
        lake.records[KEY] = msgspec.json.encode(LakeIdentity("x", "run"))
    before = dict(lake.records)
    for number in range(3):
        with pytest.raises(LakeRefused, match=r"^the-lake: this store ignores If-None-Match"):
            await open_by(lake, f"r{number}")
    assert set(lake.records) == {KEY}
    assert is_new or lake.records == before


@pytest.mark.parametrize("operation", ["delete", "create", "keys", "read", "leftovers", "stage", "discard"])
async def test_a_new_lake_needs_all_that_later_runs_do(operation: str) -> None:
    """What is not allowed fails the first run; the next one tries it all again."""
    lake = MemoryStore()

    def refuse(asked: str, key: str) -> None:
        if asked == operation and key not in {KEY, DEMO_MARKER}:
            raise LakeRefused(f"no permission: {operation}")

    lake.before = refuse
    for run_id in ("r1", "r2"):
        with pytest.raises(LakeRefused, match=f"no permission: {operation}"):
            await open_by(lake, run_id)
        assert KEY not in lake.records
    lake.before = lambda *_: None
    assert (await open_by(lake, "r3")).made_by == "run"


class Late(MemoryStore):
    """A store whose lists do not show what was made."""

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        return (await super().keys(prefix, after))[:0]


class Garbling(MemoryStore):
    """A store that gives back something else than was written."""

    async def read(self, key: str) -> bytes | None:
        body = await super().read(key)
        return body and body + b" "


@pytest.mark.parametrize(("kind", "said"), [(Late, "is in no list"), (Garbling, "not read as it was written")])
async def test_a_new_lake_is_not_kept_where_nothing_can_be_relied_on(kind: type[MemoryStore], said: str) -> None:
    """A store whose lists come late, or that returns something else, is named before it is used."""
    lake = kind()
    with pytest.raises(LakeRefused, match=said):
        await open_by(lake)
    assert written(lake) == {}
