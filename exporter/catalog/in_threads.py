"""What a catalog is asked, in threads that are waited for just so long; what is opened too late is closed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from exporter.catalog.errors import CatalogError
from exporter.machine.daemon_threads import DaemonThreads

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from pyiceberg.catalog import Catalog

Result = TypeVar("Result")

#: What letting go of a catalog may take: a database in SQL has connections.
_CLOSE_S_MAX = 5.0


async def in_thread(threads: DaemonThreads, answer_s_max: float, work: Callable[[], Result]) -> Result:
    """Do what blocks in a thread. Raises :class:`CatalogError` where it does not come to an end, too."""
    return await _answer(threads.submit(work), answer_s_max)


async def open_in_thread(opening: Callable[[], Catalog], answer_s_max: float) -> Catalog:
    """Open a catalog as `in_thread`. One that comes when nobody waits for it any more is closed."""
    coming = DaemonThreads().submit(opening)
    try:
        return await _answer(coming, answer_s_max)
    except BaseException:
        coming.add_done_callback(_close_late)
        raise


async def close_in_thread(catalog: Catalog) -> None:
    """Let go of a catalog. That it fails is no matter: all is said and done."""
    with suppress(CatalogError):
        await in_thread(DaemonThreads(), _CLOSE_S_MAX, partial(_close, catalog))


async def _answer(coming: Future[Result], answer_s_max: float) -> Result:
    try:
        async with asyncio.timeout(answer_s_max):
            return await asyncio.wrap_future(coming)
    except TimeoutError as error:
        raise CatalogError(f"the catalog does not answer within {answer_s_max:g} s") from error


def _close_late(came: Future[Catalog]) -> None:
    if came.exception() is None:
        _close(came.result())


def _close(catalog: Catalog) -> None:
    with suppress(Exception):  # whatever a driver raises
        catalog.close()
