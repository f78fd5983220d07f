"""The lake's own file, ``_log/lake.json``, checked: is it there, and can it be read?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.layout import numbered, records_prefix
from exporter.commit_log.reader import scopes_in
from exporter.commit_log.records import FORMAT_MAJOR, decode_record
from exporter.errors import LakeError, LakeTooNew, LogDamaged
from exporter.health.problems import Problem, ProblemKind
from exporter.lake.identity import KEY, REMEDY, decode_identity

if TYPE_CHECKING:
    from exporter.lake.store import Store


async def identity_problem(store: Store) -> Problem | None:
    """What is wrong with the lake's file; None where it is sound, or not due: a lake from before has none.

    Raises :class:`LakeError` where the lake can't be read, and :class:`LakeTooNew`.
    """
    body = await store.read(KEY)
    if body is None:
        return Problem(ProblemKind.IDENTITY, KEY, "the lake's file is gone") if await _has_new_log(store) else None
    try:
        decode_identity(body)
    except LakeTooNew:
        raise
    except LakeError as error:
        return Problem(ProblemKind.IDENTITY, KEY, str(error).partition(f": {REMEDY}")[0])
    return None


async def _has_new_log(store: Store) -> bool:
    """Whether a program wrote here that makes the lake's file before all else."""
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
