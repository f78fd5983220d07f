"""The one thread for what is computed beside the event loop.

Python runs one thread at a time, and the next one is any of those that wait. With a pool of threads that compute, the
event loop, which sends and receives, gets a small part of the time: calls miss their slots, and all costs more. Files
are read and written in the loop's own pool, whose threads mostly wait.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = ParamSpec("Given")
Result = TypeVar("Result")

_computing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute")


async def compute(work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """What ``work`` returns or raises. First come, first served. What has begun can't be cancelled."""
    return await asyncio.get_running_loop().run_in_executor(_computing, partial(work, *args, **kwargs))
