"""What is found, what of it is wanted, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.discovery.listings import list_participants, list_sessions, list_stages
from exporter.discovery.request import Period, Request
from exporter.discovery.selection import is_wanted, rank
from exporter.errors import Malformed
from exporter.ivs.responses import Page
from exporter.ledger import ScopeLedger
from exporter.model import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STAGE = "arn:aws:ivs:us-east-1:111122223333:stage/abc"
#: 2026-11-24T00:00:00Z
NOW_US = 1_795_478_400_000_000


async def served(*answers: object) -> AsyncIterator[Page]:
    for answer in answers:
        yield Page(answer if isinstance(answer, bytes) else msgspec.json.encode(answer), None, NOW_US)


async def test_stages_come_once_and_a_foreign_one_is_reported() -> None:
    """A stage shown twice is one stage; one of another account, or no ARN at all, is a flaw with its name."""
    foreign = STAGE.replace("1111", "9999")
    answers = served([{"arn": STAGE}, {"arn": foreign}], [{"arn": STAGE}, {"arn": "../../etc"}, {}])
    found = [listed async for listed in list_stages(answers, "us-east-1")]
    assert [stage.arn for listed in found for stage in listed.stages] == [STAGE]
    _, flaw = [flaw for listed in found for flaw in listed.flaws]
    assert flaw.startswith("ListStages in us-east-1 gave 2 stages of another account or region, or none: ")
    assert foreign in flaw
    assert "../../etc" in flaw


async def test_sessions_carry_their_times_and_an_unreadable_end_is_reported() -> None:
    """A session without an end is active; one whose end can't be read has none, and is a flaw."""
    answers = served(
        [
            {"sessionId": "st-1", "startTime": "2026-11-23T10:00:00Z", "endTime": "2026-11-23T11:00:00.5Z"},
            {"sessionId": "st-2", "startTime": "2026-11-23T10:00:00Z"},
            {"sessionId": "st-3", "endTime": "yesterday"},
            {"sessionId": ""},
        ]
    )
    (listed,) = [listed async for listed in list_sessions(answers, STAGE)]
    first, second, third = listed.sessions
    assert first.ended_us is not None
    assert first.started_us is not None
    assert first.ended_us - first.started_us == 3_600_500_000
    assert second.ended_us is third.ended_us is None
    assert len(listed.flaws) == 2
    assert not listed.doubts


@pytest.mark.parametrize(
    ("start", "end", "is_believed"),
    [
        ("2026-11-23T10:00:00Z", "0001-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", False),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", False),
        ("2019-12-31T23:00:00Z", "2019-12-31T23:59:59Z", False),
        ("2026-11-23T10:00:00Z", "2026-11-23T09:59:59Z", False),
        ("2026-11-23T10:00:00Z", "2026-11-24T00:00:10Z", False),
        ("2026-11-23T10:00:00Z", "9999-12-31T23:59:59Z", False),
        ("2027-11-23T10:00:00Z", "2026-11-23T10:00:00Z", False),
        (None, "2026-11-24T00:00:00.9Z", True),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", True),
        ("1970-01-01T00:00:00Z", "2026-11-23T10:00:00Z", True),
    ],
)
async def test_an_end_that_cannot_be_true_counts_as_none(start: str | None, end: str, is_believed: bool) -> None:
    """An end before the start, before 2020 or after now is no end, and is named; no flaw of the list."""
    answers = served([{"sessionId": "st-1", "startTime": start, "endTime": end}])
    (listed,) = [listed async for listed in list_sessions(answers, STAGE)]
    (session,) = listed.sessions
    assert (session.ended_us is not None) is is_believed
    assert bool(listed.doubts) is not is_believed
    assert not listed.flaws


async def test_a_session_that_is_listed_with_two_ends_is_a_flaw() -> None:
    """A later page that tells another end contradicts; one that tells an end where there was none does not."""
    first, second = "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"
    answers = served(
        [{"sessionId": "st-1", "endTime": first}, {"sessionId": "st-2", "endTime": first}, {"sessionId": "st-3"}],
        [{"sessionId": "st-1", "endTime": second}, {"sessionId": "st-2"}, {"sessionId": "st-3", "endTime": first}],
        [{"sessionId": "st-1", "endTime": first}],
    )
    found = [listed async for listed in list_sessions(answers, STAGE)]
    assert [session.session_id for listed in found for session in listed.sessions] == ["st-1", "st-2", "st-3"]
    assert [session.session_id for listed in found for session in listed.contested] == ["st-1", "st-2"]
    assert [len(listed.flaws) for listed in found] == [0, 2, 0]


async def test_participants_come_once_whatever_their_ids_are() -> None:
    """Hostile ids are data; the same id on two pages is one participant."""
    hostile = '../"\n'
    answers = served(
        [{"participantId": "a"}, {"participantId": hostile}], [{"participantId": "a"}, {"participantId": "b"}]
    )
    found = [listed async for listed in list_participants(answers)]
    assert [name for listed in found for name in listed.participant_ids] == ["a", hostile, "b"]


async def test_an_id_without_an_end_is_a_flaw() -> None:
    """Ids wait in memory by the thousand: one of more than a thousand letters is named in short, and not taken."""
    longest, longer = "a" * 1_024, "b" * 1_025
    participants = served([{"participantId": longest}, {"participantId": longer}])
    (listed,) = [listed async for listed in list_participants(participants)]
    assert listed.participant_ids == [longest]
    (flaw,) = listed.flaws
    assert flaw.startswith("ListParticipants gave a participant with an id of 1,025 letters: 'bbb")
    assert len(flaw) < 300
    sessions = served([{"sessionId": longer}, {"sessionId": longest}])
    (found,) = [listed async for listed in list_sessions(sessions, STAGE)]
    assert [session.session_id for session in found.sessions] == [longest]
    assert "1,025 letters" in found.flaws[0]


@pytest.mark.parametrize("item", [b"1", b'"x"', b"null", b'{"sessionId": 5}'])
async def test_an_item_that_is_none_is_a_flaw_and_hides_no_other(item: bytes) -> None:
    """It is reported, not passed over, and its neighbours on the page are read."""
    sessions = served(b'[{"sessionId": "st-0"}, %b, {"sessionId": "st-2"}]' % item)
    (listed,) = [listed async for listed in list_sessions(sessions, STAGE)]
    assert [session.session_id for session in listed.sessions] == ["st-0", "st-2"]
    (flaw,) = listed.flaws
    assert flaw.startswith("stageSessions holds something that is none")


async def test_a_session_whose_end_is_no_text_is_listed_with_a_flaw() -> None:
    """It counts as active, its list as not whole, and what was sent is kept."""
    sessions = served([{"sessionId": "st-0"}, {"sessionId": "st-1", "endTime": 7.5}, {"sessionId": "st-2"}])
    (listed,) = [listed async for listed in list_sessions(sessions, STAGE)]
    assert [(session.session_id, session.ended_us, session.extra) for session in listed.sessions] == [
        ("st-0", None, None),
        ("st-1", None, '{"endTime":7.5}'),
        ("st-2", None, None),
    ]
    assert listed.flaws == ["session 'st-1' ended at '7.5', which is not a time"]


async def test_flaws_of_one_kind_are_one_failure() -> None:
    """Each session of a long list may have an end that can't be read: that is one cause with a count."""
    items = [{"sessionId": f"st-{number}", "endTime": number} for number in range(150)]
    ledger = ScopeLedger("us-east-1")
    async for listed in list_sessions(served([*items, {"endTime": "x"}]), STAGE):
        listed.note_in(ledger, STAGE)
    assert [(failure.error, failure.count) for failure in ledger.failures] == [("malformed", 1), ("malformed", 150)]


async def test_a_page_that_is_no_text_fails_its_listing() -> None:
    """Bytes that are not UTF-8 are no list of anything."""
    with pytest.raises(Malformed, match="stageSessions"):
        _ = [listed async for listed in list_sessions(served(b'[{"sessionId": "\xff"}]'), STAGE)]


times_us = st.one_of(st.none(), st.integers(0, 10**6))
sessions = st.builds(
    Session, st.just(STAGE), st.sampled_from("abc"), started_us=times_us, ended_us=times_us, is_listed=st.booleans()
)


@given(st.lists(sessions, max_size=30))
def test_ended_sessions_come_first_the_oldest_end_first(found: list[Session]) -> None:
    """Whatever the order of the listing, no ended session stands behind an open one or behind a later end."""
    ordered = sorted(found, key=rank)
    ends = [session.ended_us for session in ordered]
    ended = [end for end in ends if end is not None]
    assert ends[: len(ended)] == sorted(ended)


@given(sessions, times_us, times_us)
def test_a_session_is_wanted_when_it_overlaps_the_range(
    session: Session, since_us: int | None, until_us: int | None
) -> None:
    """A session is left out only when it is known to lie before or behind the range, whose end is not part of it."""
    wanted = is_wanted(session, Request(period=Period(since_us, until_us)), active_sessions=True)
    before = since_us is not None and session.ended_us is not None and session.ended_us < since_us
    behind = until_us is not None and session.started_us is not None and session.started_us >= until_us
    assert wanted is not (before or behind)


def test_active_sessions_can_be_left_out() -> None:
    """Without active sessions, only those are left out that a listing told to be active."""
    active = Session(STAGE, "a", started_us=1)
    assert is_wanted(active, Request(), active_sessions=True)
    assert not is_wanted(active, Request(), active_sessions=False)
    assert is_wanted(Session(STAGE, "a", is_listed=False), Request(), active_sessions=False)
