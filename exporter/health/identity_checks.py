"""The lake's own file, ``_log/lake.json``, checked: is it there, and can it be read?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.lake_file import is_lake_file_gone
from exporter.errors import LakeError, LakeTooNew
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
        return Problem(ProblemKind.IDENTITY, KEY, "the lake's file is gone") if await is_lake_file_gone(store) else None
    try:
        decode_identity(body)
    except LakeTooNew:
        raise
    except LakeError as error:
        return Problem(ProblemKind.IDENTITY, KEY, str(error).partition(f": {REMEDY}")[0])
    return None
