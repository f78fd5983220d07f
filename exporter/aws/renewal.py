"""Renewing what has expired: once, for all who find it so at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

Shared = TypeVar("Shared")


async def renew_once(
    lock: asyncio.Lock,
    expired: Shared,
    current: Callable[[], Awaitable[Shared]],
    renew: Callable[[], Awaitable[None]],
) -> bool:
    """Renew what many calls share, and report whether it is another than the ``expired`` one now.

    Of the calls that meet the same expiry, the first one renews; the others wait for ``lock``, and find it done.
    Raises what ``current`` and ``renew`` raise.
    """
    async with lock:
        if await current() == expired:
            await renew()
        return await current() != expired
