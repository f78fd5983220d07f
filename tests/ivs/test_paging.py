"""A list page by page: every page once, and an end in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.errors import Endless, Refused, TokenRefused
from exporter.ivs import paging
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages, pages
from exporter.ivs.responses import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVENTS = Operation.LIST_PARTICIPANT_EVENTS


class Service:
    """Answers by what the token is, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str | None], Page]) -> None:
        self.answer = answer
        self.asked: list[str | None] = []

    async def call(self, _operation: Operation, params: Mapping[str, Any]) -> Page:
        assert params["maxResults"] == 100
        assert params["participantId"] == "p"
        token = params.get("nextToken")
        self.asked.append(token)
        return self.answer(token)


async def read(service: Service, reader: Any = pages) -> list[bytes]:
    return [page.items async for page in reader(service, EVENTS, {"participantId": "p"})]


async def test_each_page_is_asked_for_once_and_none_after_the_last() -> None:
    """Three pages are three calls: the first without a token, none after the one that gave no token."""
    answers = {None: Page(b"[1]", "a", 0), "a": Page(b"[2]", "b", 0), "b": Page(b"[3]", None, 0)}
    service = Service(answers.__getitem__)
    assert await read(service) == [b"[1]", b"[2]", b"[3]"]
    assert service.asked == [None, "a", "b"]


async def test_a_token_that_repeats_ends_the_list() -> None:
    """A token that came before would go round for ever."""
    service = Service(lambda token: Page(b"[1]", "b" if token == "a" else "a", 0))
    with pytest.raises(Endless, match="twice"):
        await read(service)
    assert len(service.asked) == 3


async def test_empty_pages_are_passed_over_but_not_for_ever() -> None:
    """An empty page with a token is no end; a hundred of them and one more are."""
    few = {None: Page(b"[]", "a", 0), "a": Page(b"[ ]", "b", 0), "b": Page(b"[3]", None, 0)}
    assert (await read(Service(few.__getitem__)))[-1] == b"[3]"
    service = Service(lambda token: Page(b"[]", f"{token}x", 0))
    with pytest.raises(Endless, match="without an item"):
        await read(service)
    assert len(service.asked) == paging.EMPTY_PAGES_MAX + 1


async def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Always another token, always another item: after the bound the list is called endless."""
    monkeypatch.setattr(paging, "PAGES_MAX", 50)
    service = Service(lambda token: Page(b"[1]", f"{token}x", 0))
    with pytest.raises(Endless, match="no end after 50 pages"):
        await read(service)


def refusing_once(code: str) -> Service:
    refused = False

    def answer(token: str | None) -> Page:
        nonlocal refused
        if token == "a" and not refused:
            refused = True
            raise Refused("no such token", code)
        return Page(b"[1]", "a", 0) if token is None else Page(b"[2]", None, 0)

    return Service(answer)


async def test_a_token_refused_in_mid_list_is_told_from_a_refused_list() -> None:
    """With a token the refusal is the token's; a denied list stays a denied list."""
    with pytest.raises(TokenRefused):
        await read(refusing_once("ValidationException"))
    with pytest.raises(Refused) as caught:
        await read(refusing_once("AccessDeniedException"))
    assert not isinstance(caught.value, TokenRefused)


async def test_a_list_of_names_starts_over_once() -> None:
    """After a refused token the list is read from its beginning, one time."""
    service = refusing_once("ValidationException")
    assert await read(service, named_pages) == [b"[1]", b"[1]", b"[2]"]
    assert service.asked == [None, "a", None, "a"]
