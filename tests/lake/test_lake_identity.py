"""The lake's own file, and the stores that no lake may be kept in."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.commit_log.reader import scopes_in
from exporter.errors import LakeError, LakeRefused, LakeTooNew, UsageError
from exporter.lake.identity import DEMO_MARKER, KEEPS_ALL, KEY, LakeIdentity, LakeKind, look_at_lake, open_lake
from exporter.normalize.privacy import Privacy
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lake.identity import Maker
    from exporter.lake.store import Store

    Seen = Callable[[], Awaitable[set[str]]]

KEEPING = Privacy()
HASHING = Privacy("hash", frozenset({"plan"}), "drop", key=b"correct horse battery staple")


async def open_by(store: Any, run_id: str = "r1", made_by: Maker = "run", privacy: Privacy = KEEPING) -> LakeIdentity:
    kind = LakeKind(made_by, privacy.fingerprint())
    return await open_lake(store, "the-lake", kind, run_id, random.Random(run_id).random)


def written(lake: MemoryStore) -> dict[str, bytes]:
    return {**lake.records, **lake.visible, **{key: data for key, (_, data) in lake.staged.items()}}


async def test_the_first_run_makes_the_lakes_file_and_later_ones_agree(store: Store, seen_at: Seen) -> None:
    """The file alone is left of all that a first run tries out, and no log is read from it."""
    first = await open_by(store, "r1")
    assert await seen_at() == {KEY}
    assert (first.format, first.major, first.made_by, len(first.id)) == ("ivs-export lake", 1, "run", 32)
    assert await open_by(store, "r2") == first
    assert await look_at_lake(store, "the-lake", LakeKind()) == first
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
        await (look_at_lake(lake, "the-lake", LakeKind(other)) if is_dry else open_by(lake, "r2", other))
    assert written(lake) == before


def test_a_lake_from_before_keeps_all() -> None:
    """The text that stands for it is that of a run without settings."""
    assert Privacy().fingerprint() == KEEPS_ALL
    assert msgspec.json.decode(b'{"id":"x","made_by":"run"}', type=LakeIdentity).kind == LakeKind()


@pytest.mark.parametrize(("privacy", "major"), [(KEEPING, 1), (HASHING, 2), (Privacy(extra="drop"), 2)])
async def test_a_new_lake_says_what_it_keeps_of_users(privacy: Privacy, major: int) -> None:
    """Programs that know no privacy go on with a lake that keeps all, and refuse any other: they would write all."""
    lake = MemoryStore()
    await open_by(lake, privacy=privacy)
    body = lake.records[KEY]
    assert msgspec.json.decode(body)["privacy"] == privacy.fingerprint()
    assert msgspec.json.decode(body)["major"] == major
    assert b"correct horse" not in body
    assert (await open_by(lake, "r2", privacy=privacy)).kind.privacy == privacy.fingerprint()
    assert lake.records[KEY] is body


@pytest.mark.parametrize("is_dry", [False, True])
@pytest.mark.parametrize(
    ("found", "asked", "said"),
    [
        (
            KEEPING,
            HASHING,
            "with [privacy] user_id=keep attributes=keep extra=keep, and this run asks for user_id=hash",
        ),
        (HASHING, KEEPING, "and this run asks for user_id=keep attributes=keep extra=keep: set what it was made with"),
        (HASHING, replace(HASHING, key=b"another"), "were hashed with another key: set IVS_EXPORT_PRIVACY__KEY to"),
        (HASHING, replace(HASHING, attributes=frozenset({"plan", "team"})), 'attributes=["plan", "team"] extra=drop:'),
        (Privacy(attributes="drop"), Privacy(attributes=frozenset()), "attributes=drop extra=keep, and this run asks"),
    ],
)
async def test_another_privacy_is_refused(found: Privacy, asked: Privacy, said: str, *, is_dry: bool) -> None:
    """One line says what the lake has, what was asked for and what to do; no key, nor what stands for it, is shown."""
    lake = MemoryStore()
    await open_by(lake, privacy=found)
    before = written(lake)
    looking = look_at_lake(lake, "the-lake", LakeKind(privacy=asked.fingerprint()))
    opening = open_by(lake, "r2", privacy=asked)
    with pytest.raises(UsageError, match=re.escape(said)) as raised:
        await (looking if is_dry else opening)
    (opening if is_dry else looking).close()
    assert "key=" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert written(lake) == before


async def test_a_lake_whose_file_is_not_there_keeps_all() -> None:
    """One with a log is from before, or has lost its file: it takes no run that keeps less. Trials are no log."""
    lake = MemoryStore()
    lake.records["_log/trial-r1.json"] = b"{}"
    kind = LakeKind(privacy=HASHING.fingerprint())
    assert await look_at_lake(lake, "the-lake", kind) is None
    lake.records["_log/111122223333-eu-west-1/records/000000000001.json"] = b"{}"
    with pytest.raises(UsageError, match="restore it from a backup"):
        await look_at_lake(lake, "the-lake", kind)
    assert await look_at_lake(lake, "the-lake", LakeKind()) is None


@pytest.mark.parametrize("is_dry", [False, True])
async def test_a_lake_of_an_old_demo_is_known_by_its_marker(*, is_dry: bool) -> None:
    """A lake without the file is a demo's where the old marker lies in it; a demo goes on with it."""
    lake = MemoryStore()
    lake.visible[DEMO_MARKER] = b"x"
    with pytest.raises(UsageError, match="made-up data: set another `lake`"):
        await (look_at_lake(lake, "the-lake", LakeKind()) if is_dry else open_by(lake))
    assert written(lake) == {DEMO_MARKER: b"x"}
    assert (await open_by(lake, made_by="demo")).made_by == "demo"


async def test_a_dry_run_writes_nothing() -> None:
    """A lake that is not there yet is looked at, and not made."""
    lake = MemoryStore()
    assert await look_at_lake(lake, "the-lake", LakeKind()) is None
    assert written(lake) == {}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", LakeError, "is damaged"),
        (b"\x00" * 80, LakeError, "is damaged"),
        (b"[]", LakeError, "is damaged"),
        (b"{}", LakeError, "is damaged"),
        (b'{"id":"\xff","made_by":"run"}', LakeError, "is damaged"),
        (b'{"id":"a","made_by":"run","more":' + b"[" * 10_000, LakeError, "is damaged"),
        (b'{"id":7,"made_by":"run"}', LakeError, "is damaged"),
        (b'{"format":"another","major":1,"id":"x","made_by":"run"}', LakeError, "is no lake's file"),
        (b'{"format":"ivs-export lake","major":3,"id":"x","made_by":"run"}', LakeTooNew, "is of version 3"),
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
