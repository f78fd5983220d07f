from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.emulator import Emulator, PagingOptions, Size
from exporter.emulator.protocol.errors import Refusal
from exporter.emulator.protocol.page_tokens import PageStart, PageTokens

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = PageTokens(b"key", None)
#: All that a token may hold, and nothing.
LETTERS = ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")
REFUSED = (400, "ValidationException")
ONE_SESSION = {"stages": 2, "sessions": Size.fixed(1), "participants": Size.fixed(30), "active_share": 0.0}


@given(
    offset=st.integers(0, 2**40),
    turn=st.integers(0, 2**32 - 1),
    as_of_us=st.none() | st.integers(1, 2**60),
    name=st.text(max_size=9),
)
def test_a_token_leads_back_to_its_page(offset: int, turn: int, as_of_us: int | None, name: str) -> None:
    """What is written is read again, in the letters and the length that the model allows."""
    start = PageStart(offset, turn, as_of_us)
    token = TOKENS.write(start, name, 0)
    assert re.fullmatch(r"[a-zA-Z0-9+/=_-]{1,1024}", token)
    assert TOKENS.read(token, name) == start


def test_a_damaged_token_is_refused() -> None:
    """A token with any one letter changed, left out or added is no token."""
    token = TOKENS.write(PageStart(100, 1), "list", 0)
    damaged = {token[:index] + letter + token[index + 1 :] for index in range(len(token)) for letter in LETTERS}
    damaged |= {token[:index] + letter + token[index:] for index in range(len(token)) for letter in LETTERS}
    for other in damaged - {token}:
        with pytest.raises(Refusal):
            TOKENS.read(other, "list")


async def test_a_token_belongs_to_one_list(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """A token is refused by another stage's list, another operation, another filter, and when it is shortened."""
    async with Emulator(options_of(ONE_SESSION)) as emulator:
        asker = ask(emulator)
        arns = [stage["arn"] for stage in (await asker.page("ListStages"))["stages"]]
        ids = []
        for arn in arns:
            sessions = (await asker.page("ListStageSessions", stageArn=arn))["stageSessions"]
            ids.append({"stageArn": arn, "sessionId": sessions[0]["sessionId"]})
        token = (await asker.page("ListParticipants", **ids[0], maxResults=10))["nextToken"]
        assert await asker.page("ListParticipants", **ids[0], nextToken=token)
        for members in (
            {**ids[1], "nextToken": token},
            {**ids[0], "nextToken": token, "filterByPublished": True},
            {**ids[0], "nextToken": token[:-4]},
        ):
            assert await asker.refusal("ListParticipants", **members) == REFUSED
        assert await asker.refusal("ListStages", nextToken=token) == REFUSED


async def test_tokens_may_have_a_life(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """A token is refused once its life in simulated time is over."""
    async with Emulator(options_of({"stages": 60}, paging=PagingOptions(token_life_s=60.0))) as emulator:
        token = (await ask(emulator).page("ListStages"))["nextToken"]
        emulator.clock.advance(59.0)
        assert len((await ask(emulator).page("ListStages", nextToken=token))["stages"]) == 10
        emulator.clock.advance(2.0)
        assert await ask(emulator).refusal("ListStages", nextToken=token) == REFUSED


@pytest.mark.parametrize(("mode", "grows"), [("live", True), ("snapshot", False)])
async def test_a_list_that_grows_while_it_is_read(
    ask: Callable[..., Any], options_of: Callable[..., Any], mode: Literal["live", "snapshot"], *, grows: bool
) -> None:
    """Live paging counts from the list as it has become, and hides nothing; a snapshot stays as it was."""
    world = {"stages": 1, "sessions": Size.fixed(1), "participants": Size.fixed(300), "active_share": 1.0}
    async with Emulator(options_of(world, paging=PagingOptions(mode))) as emulator:
        emulator.clock.advance(-7_200.0)  # two hours before, people are still coming
        stage = (await ask(emulator).page("ListStages"))["stages"][0]
        ids = {"stageArn": stage["arn"], "sessionId": stage["activeSessionId"]}
        before = await ask(emulator).whole("ListParticipants", "participants", **ids)
        first = await ask(emulator).page("ListParticipants", **ids, maxResults=10)
        emulator.clock.advance(600.0)
        rest = await ask(emulator).whole("ListParticipants", "participants", **ids, nextToken=first["nextToken"])
    shown = [each["participantId"] for each in first["participants"] + rest]
    assert {each["participantId"] for each in before} <= set(shown)
    assert (len(shown) > len(before)) == grows
