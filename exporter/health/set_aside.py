"""What is set aside lies under ``_damaged/``: out of every reader's sight, and not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.layout import number_of, numbered, records_prefix, snapshots_prefix
from exporter.errors import LakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.lake.store import Store
    from exporter.model import Scope

FOLDER = "_damaged"
_COPIES_MAX = 100


async def set_aside(store: Store, key: str) -> bool:
    """Move a visible file, or a record, to its own key under ``_damaged/``; False where it is not there.

    The copy is durable before the file is removed. Safe to repeat.
    """
    if not await _copy(store, key, f"{FOLDER}/{key}"):
        return False
    await (store.delete(key) if key.startswith("_log/") else store.remove(key))
    return True


async def set_log_aside(store: Store, scope: Scope, run_id: str) -> list[int]:
    """Move all records and snapshots of a scope to ``_damaged/``, into a folder of this run; gives their numbers.

    Whatever ends it midway, what is left is no log that could be taken for a whole one: record 1 is removed first, and
    snapshots before the records that they were made after. Safe to repeat.
    """
    snapshots, _ = numbered(snapshots_prefix(str(scope)), await store.keys(snapshots_prefix(str(scope))))
    records, _ = numbered(records_prefix(str(scope)), await store.keys(records_prefix(str(scope))))
    for key in [*records, *snapshots]:
        await _copy(store, key, f"{FOLDER}/{run_id}/{key}")
    first = [key for key in records if number_of(key) == 1]
    for key in [*first, *snapshots, *(key for key in records if key not in first)]:
        await store.delete(key)
    return [number_of(key) for key in (*records, *snapshots)]


async def _copy(store: Store, key: str, to: str) -> bool:
    body = await store.read(key)
    if body is None:
        return False
    for name in _names(to):
        if await store.create(name, body):
            return True
    raise LakeError(f"{to} has {_COPIES_MAX} copies already: move {FOLDER} away")


def _names(to: str) -> Sequence[str]:
    """A name may be taken by what was set aside before."""
    return [to, *(f"{to}.{number}" for number in range(2, _COPIES_MAX + 1))]
