"""A list page by page, with a bound: no token twice, no list without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.errors import Endless, Refused, TokenRefused
from exporter.ivs.operations import MAX_RESULTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from exporter.ivs.operations import Operation
    from exporter.ivs.responses import Page
    from exporter.ivs.retry import RetryingCaller

#: 2,000,000 items: a participant is connected for 24 hours at most, a stage has 25,000 viewers at most.
PAGES_MAX = 20_000
#: Pages without an item, one after another.
EMPTY_PAGES_MAX = 100
# What IVS answers to a token that it does not take is not documented; these two are what its model and its siblings
# have for a wrong argument.
_TOKEN_REFUSALS = frozenset({"ValidationException", "ResourceNotFoundException"})


async def pages(caller: RetryingCaller, operation: Operation, params: Mapping[str, Any]) -> AsyncIterator[Page]:
    """Ask for the pages of a list, for each of them once.

    Raises :class:`TokenRefused` where a page token is refused in mid-list, :class:`Endless` for a token that repeats
    or a list that goes on without an end, and whatever else ended the call.
    """
    asked: dict[str, Any] = {**params, "maxResults": MAX_RESULTS}
    tokens: set[int] = set()
    empty = 0
    for _ in range(PAGES_MAX):
        try:
            page = await caller.call(operation, asked)
        except Refused as error:
            if "nextToken" in asked and error.code in _TOKEN_REFUSALS:
                raise TokenRefused(str(error), error.code) from error
            raise
        yield page
        if page.next_token is None:
            return
        # The hash of a token is enough to know it again, and a list may have many.
        if (mark := hash(page.next_token)) in tokens:
            raise Endless(f"{operation}: a page token came twice")
        tokens.add(mark)
        empty = empty + 1 if len(page.items) <= len(b"[]") else 0
        if empty > EMPTY_PAGES_MAX:
            raise Endless(f"{operation}: more than {EMPTY_PAGES_MAX} pages without an item, one after another")
        asked["nextToken"] = page.next_token
    raise Endless(f"{operation}: no end after {PAGES_MAX} pages")


async def named_pages(caller: RetryingCaller, operation: Operation, params: Mapping[str, Any]) -> AsyncIterator[Page]:
    """Do the same for a list whose items have names: start over once where a token is refused in mid-list.

    Items may come twice then, under the same names.
    """
    try:
        async for page in pages(caller, operation, params):
            yield page
    except TokenRefused:
        async for page in pages(caller, operation, params):
            yield page
