"""What every store promises, on a directory, on moto's S3 and on SeaweedFS's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from exporter.errors import LakeRefused
from exporter.lake.store import Staged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lake.store import Store

    Seen = Callable[[], Awaitable[set[str]]]

KEY = "events/event_date=2026-11-23/111122223333-us-east-1-000000001-run-000001.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
MIB = 1 << 20
#: What may stand in a name, and is something else to a URL, to XML, or to a shell.
HOSTILE = [
    "a b",
    "a+b",
    "a%20b",
    "a&b=c?d#e",
    "a'b\"c<d>",
    "~.-_!*()",
    "a:b;c,d@e$f|g^h`i{j}[k]",
    "-rf",
    ".hidden",
    "\N{LATIN SMALL LETTER A WITH DIAERESIS}",
    "\N{GRINNING FACE}",
]


async def test_a_staged_file_is_seen_by_no_reader(store: Store, seen_at: Seen) -> None:
    """Before it is published, a file can't be read, listed, or met by anything that looks for Parquet files."""
    await store.stage(KEY, b"rows")
    assert await store.read(KEY) is None
    assert await store.keys("") == []
    seen = await seen_at()
    assert not [name for name in seen if name.endswith(".parquet") or name.startswith(("events/", "_log/"))]


async def test_a_published_file_is_seen_whole(store: Store, seen_at: Seen) -> None:
    """Once published, a file has its name and its bytes, and nothing of it is left aside."""
    staged = await store.stage(KEY, b"rows")
    assert staged.size_bytes == 4
    assert await store.publish(staged)
    assert await store.read(KEY) == b"rows"
    assert await store.keys("events/") == [KEY]
    assert await seen_at() == {KEY}
    assert await store.leftovers("events") == []


async def test_publishing_again_is_harmless(store: Store, address: str, open_at: Any) -> None:
    """The same file can be published again, by another process, from what a record says of it."""
    staged = await store.stage(KEY, b"rows")
    other = await open_at(address)
    assert await store.publish(staged)
    assert await other.publish(Staged(staged.key, staged.size_bytes, staged.handle))
    assert await store.read(KEY) == b"rows"


async def test_a_file_that_was_never_staged_here_is_visible_or_gone(store: Store) -> None:
    """One that a record names anew has no handle: whether it is there in its whole size is all that can be asked."""
    await store.publish(await store.stage(KEY, b"rows"))
    assert await store.publish(Staged(KEY, 4, ()))
    assert not await store.publish(Staged(KEY, 5, ()))
    assert not await store.publish(Staged(f"{KEY}.2.parquet", 4, ()))


async def test_a_visible_file_can_be_removed(store: Store) -> None:
    """Removing takes one file away from all readers; it is harmless where there is none, and for what is staged."""
    kept, gone = f"{KEY}.2.parquet", KEY
    for key in (kept, gone):
        await store.publish(await store.stage(key, b"rows"))
    staged = await store.stage(KEY, b"more")
    await store.remove(gone)
    await store.remove(gone)
    assert await store.keys("events/") == [kept]
    assert await store.read(gone) is None
    assert await store.publish(staged)
    assert await store.read(gone) == b"more"


async def test_publishers_at_once_all_succeed(store: Store) -> None:
    """Many that publish the same file at the same time all learn that it is visible."""
    staged = await store.stage(KEY, b"rows")
    assert all(await asyncio.gather(*(store.publish(staged) for _ in range(8))))
    assert await store.read(KEY) == b"rows"


async def test_discarding_is_harmless_at_any_time(store: Store) -> None:
    """A staged file can be discarded twice, and one that is visible stays as it is."""
    gone, kept = await store.stage(KEY, b"rows"), await store.stage(f"{KEY}.2.parquet", b"more")
    await store.discard(gone)
    await store.discard(gone)
    assert await store.publish(kept)
    await store.discard(kept)
    assert await store.keys("events/") == [kept.key]
    assert await store.read(kept.key) == b"more"


async def test_leftovers_are_those_of_the_table(store: Store) -> None:
    """What is staged and not published is listed, for its own table alone, and can be discarded by another run."""
    staged = [
        await store.stage(f"{table}/x/{name}.parquet", b"rows") for table in ("events", "events2") for name in "ab"
    ]
    await store.publish(staged[0])
    [left] = await store.leftovers("events")
    assert (left.key, left.size_bytes) == ("events/x/b.parquet", None)
    assert len(await store.leftovers("events2")) == 2
    assert await store.leftovers("event") == []
    await store.discard(left)
    assert await store.leftovers("events") == []


async def test_a_leftover_is_not_published(store: Store) -> None:
    """What was found left over, and may be half a file, does not become visible."""
    await store.stage(KEY, b"rows")
    [left] = await store.leftovers("events")
    assert not await store.publish(left)
    assert await store.keys("events/") == []


async def test_two_files_of_one_name_are_told_apart(store: Store) -> None:
    """A file that was staged again after a lost answer is discarded without harm to the one that was published."""
    first, second = await store.stage(KEY, b"rows"), await store.stage(KEY, b"rows")
    assert await store.publish(second)
    await store.discard(first)
    assert await store.read(KEY) == b"rows"
    assert await store.leftovers("events") == []


@pytest.mark.parametrize("size_bytes", [0, 1, 8 * MIB, 20 * MIB + 7])
async def test_a_file_of_any_size_comes_back(store: Store, size_bytes: int) -> None:
    """A file comes back byte for byte, be it empty, one part, or several."""
    data = (bytes(range(256)) * (size_bytes // 256 + 1))[:size_bytes]
    staged = await store.stage(KEY, memoryview(data))
    assert staged.size_bytes == size_bytes
    assert await store.publish(staged)
    assert await store.read(KEY) == data


async def test_a_record_is_made_once(store: Store) -> None:
    """The first body stays; another is refused, and the same one counts as made."""
    assert await store.read(RECORD) is None
    assert await store.create(RECORD, b"one")
    assert not await store.create(RECORD, b"two")
    assert await store.create(RECORD, b"one")
    assert await store.read(RECORD) == b"one"
    assert await store.keys("") == [RECORD]


async def test_a_record_that_is_there_is_refused(store: Store, seen_at: Seen) -> None:
    """Each try to make it once more, with the very same body, is refused, and leaves nothing; so of many at once."""
    assert await store.create(RECORD, b"one")
    assert await store.refuses(RECORD, b"one")
    assert all(await asyncio.gather(*(store.refuses(RECORD, b"one") for _ in range(5))))
    assert await store.read(RECORD) == b"one"
    assert await seen_at() == {RECORD}
    await store.delete(RECORD)
    assert not await store.refuses(RECORD, b"one")


async def test_an_empty_record_is_a_record(store: Store) -> None:
    """A record without a byte is there, and holds its number."""
    assert await store.create(RECORD, b"")
    assert await store.read(RECORD) == b""
    assert not await store.create(RECORD, b"two")


async def test_a_record_can_be_deleted_and_made_again(store: Store) -> None:
    """Deleting is harmless where there is nothing, and gives the number back."""
    await store.delete(RECORD)
    await store.create(RECORD, b"one")
    await store.delete(RECORD)
    assert await store.read(RECORD) is None
    assert await store.keys("_log/") == []
    assert await store.create(RECORD, b"two")


async def test_keys_are_sorted_and_begin_behind(store: Store) -> None:
    """Keys come sorted, those after ``after`` alone, and only those that begin with the whole prefix."""
    assert await store.keys("_log/") == []
    made = [f"_log/{scope}/{number:012d}.json" for scope in ("a", "a-b", "b") for number in (3, 1, 2)]
    await asyncio.gather(*(store.create(key, b"x") for key in made))
    assert await store.keys("_log/") == sorted(made)
    assert await store.keys("_log/a/") == sorted(made[:3])
    assert await store.keys("_log/a") == sorted(made[:6])
    assert await store.keys("_log/a/", after="_log/a/000000000001.json") == sorted(made[:3])[1:]
    assert await store.keys("_log/a/", after="_log/a/9") == []
    assert await store.keys("_log/", after=made[1]) == [key for key in sorted(made) if key > made[1]]
    assert await store.keys("_log/", after=made[4]) == [key for key in sorted(made) if key > made[4]]
    assert await store.keys("_log/a/00000000000", after="_log/a") == sorted(made[:3])
    assert await store.keys("_log/none/") == []


async def test_hostile_names_are_names(store: Store) -> None:
    """What is legal in a key, and special elsewhere, is one key, in a record and in a file."""
    records, files = [f"_log/{name}/{name}" for name in HOSTILE], [f"events/{name}.parquet" for name in HOSTILE]
    for key in records:
        assert await store.create(key, key.encode())
    staged = [await store.stage(key, key.encode()) for key in files]
    assert {left.key for left in await store.leftovers("events")} == set(files)
    assert all([await store.publish(each) for each in staged])
    assert await store.keys("_log/") == sorted(records)
    assert await store.keys("events/") == sorted(files)
    for key in records + files:
        assert await store.read(key) == key.encode()
    assert await store.keys("_log/", after=sorted(records)[3]) == sorted(records)[4:]


async def test_no_key_leads_out_of_the_lake(store: Store) -> None:
    """A key that is none, perhaps from a record that was tampered with, is refused by every call."""
    for key in ["", "/etc/x", "a/../../x", "a//b", "./a", "a/", "a\0b", "a\nb", "a\\b", "\udc80"]:
        staged = Staged(key, 1, (key, "y"))
        calls = [store.stage(key, b"x"), store.publish(staged), store.discard(staged), store.leftovers(key)]
        calls += [
            store.read(key),
            store.remove(key),
            store.create(key, b"x"),
            store.delete(key),
            store.keys(f"{key}/x"),
        ]
        for call in calls:
            with pytest.raises(LakeRefused, match="no key of a lake"):
                await call
