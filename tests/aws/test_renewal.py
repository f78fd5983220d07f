from __future__ import annotations

import asyncio

import pytest

from exporter.aws.renewal import renew_once


@pytest.mark.parametrize(("renewed", "is_another"), [("new", True), ("old", False)])
async def test_what_many_find_expired_is_renewed_once(renewed: str, is_another: bool) -> None:
    """The first of ten calls renews, and the others find that done; where nothing else is found, each looks again."""
    current, renewals, lock = "old", list[str](), asyncio.Lock()

    async def now() -> str:
        await asyncio.sleep(0)
        return current

    async def renew() -> None:
        nonlocal current
        await asyncio.sleep(0)
        renewals.append(renewed)
        current = renewed

    found = await asyncio.gather(*(renew_once(lock, "old", now, renew) for _ in range(10)))
    assert found == [is_another] * 10
    assert renewals == [renewed] * (1 if is_another else 10)
