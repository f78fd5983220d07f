"""Whether the lake's own file, ``_log/lake.json``, is gone: a new lake has none yet, and one from before had none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.layout import numbered, records_prefix
from exporter.commit_log.reader import scopes_in
from exporter.commit_log.records import FORMAT_MAJOR, decode_record
from exporter.errors import LakeError, LogDamaged
from exporter.lake.identity import KEY, REMEDY

if TYPE_CHECKING:
    from exporter.lake.store import Store


async def check_has_lake_file(store: Store) -> None:
    """Raise :class:`LakeError` where the lake's file is gone.

    Another one would have another id, and the privacy of whoever runs next: a lake of hashes would take user ids.
    """
    if await is_lake_file_gone(store):
        raise LakeError(
            f"{KEY} is gone, and said what the lake holds of users: {REMEDY}, with the [privacy] that it had"
        )


async def is_lake_file_gone(store: Store) -> bool:
    """Whether no file of the lake's own is there, though a program wrote its log that makes it before all else."""
    # The file after the log: another first run may have made both meanwhile.
    return await store.read(KEY) is None and await _has_new_log(store) and await store.read(KEY) is None


async def _has_new_log(store: Store) -> bool:
    for scope in await scopes_in(store):
        prefix = records_prefix(str(scope))
        keys, _ = numbered(prefix, await store.keys(prefix))
        body = await store.read(keys[-1]) if keys else None
        try:
            if body is not None and decode_record(keys[-1], body).major == FORMAT_MAJOR:
                return True
        except LogDamaged:
            continue
    return False
