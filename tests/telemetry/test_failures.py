"""Failures by cause: counted, named by the first ten, bounded in number and in length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import EventUndated, GaveUp, Refused, ShutOut
from exporter.telemetry.failures import CAUSES_MAX, UNITS_NAMED, Failures

ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/AbCd"


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3)), max_size=600))
def test_nothing_is_lost_in_the_count(met: list[tuple[int, int]]) -> None:
    """However many causes there are, what they met adds up, and neither they nor their names grow without a bound."""
    failures, whole = Failures(), Failures()
    for number, cause in met:
        failures.add(f"{ARN}/st-{number}", Refused(f"no {number}" if cause else "denied", "Code"))
    whole.merge(failures)
    for each in (failures, whole):
        assert each.count == sum(failure.count for failure in each.causes()) == len(met)
        assert len(each) <= CAUSES_MAX + 1
        assert all(len(failure.units) == min(failure.count, UNITS_NAMED) for failure in each.causes())


def test_equal_causes_are_one_failure() -> None:
    """A message that differs in the unit's own name alone is one cause; another kind or text is another."""
    failures = Failures()
    for number in range(30):
        name = f"{ARN}/st-{number:013}/participant-{number}"
        failures.add(name, Refused(f"denied on {name}", "Code"))
        failures.add(name, GaveUp("gave up"))
    refused, gave_up = failures.causes()
    assert (refused.error, refused.count, refused.unit) == ("refused", 30, f"{ARN}/st-{0:013}/participant-0")
    assert (gave_up.error, gave_up.count) == ("gave_up", 30)


def test_numbers_in_a_message_make_no_other_cause() -> None:
    """How many tries there were, or how many events of a unit have no time, differs from unit to unit."""
    failures = Failures()
    for number in range(30):
        failures.add(f"{ARN}/st-1/p{number}", GaveUp(f"gave up after {number} tries: status 503", "status 503"))
        failures.add(f"{ARN}/st-1/p{number}", EventUndated(f"{number} of 99 events have no eventTime that can be read"))
    failures.add(ARN, GaveUp("gave up after 8 tries: status 502", "status 502"))
    assert [(each.error, each.count) for each in failures.causes()] == [
        ("gave_up", 30),
        ("event_unreadable", 30),
        ("gave_up", 1),
    ]


def test_times_in_a_message_make_no_other_cause() -> None:
    """A refused signature is told with its time, and with this machine's: each refusal with others."""
    failures = Failures()
    for second in range(10, 40):
        expired = f"Signature expired: 20261127T0000{second}Z is now earlier than 20261127T0015{second}Z"
        failures.add(f"{ARN}/st-1/p{second}", Refused(f"{expired}; here it is 2026-11-27T00:30:{second}Z", "Code"))
        failures.add(f"{ARN}/st-1/p{second}", GaveUp(f"gave up: {expired}", expired))
    assert [(each.error, each.count) for each in failures.causes()] == [("refused", 30), ("gave_up", 30)]


def test_causes_come_before_what_was_deferred() -> None:
    """What a run did not come to is told last, though it was known first."""
    failures = Failures()
    failures.defer("123456789012-eu-west-1", "7 lists not read to the end", 7)
    failures.add(ARN, Refused("denied", "Code"))
    assert [failure.error for failure in failures.causes()] == ["refused", "deferred"]


def test_what_is_asked_no_more_is_the_refusal_it_stands_for() -> None:
    """Refused units and those that were not even asked for are one failure, with the words that say what to do."""
    failures, whole = Failures(), Failures()
    for number in range(3):
        refusal = Refused(f"denied p{number}", "Code")
        refusal.group = "denied"
        failures.add(f"{ARN}/st-1/p{number}", refusal)
        whole.merge(failures)
    failures.add(f"{ARN}/st-1/p3", ShutOut("denied p2; asked no more: allow it", "denied"))
    whole.merge(failures)
    for each in (failures, whole):
        [failure] = each.causes()
        assert (failure.error, failure.message) == ("refused", "denied p2; asked no more: allow it")
    assert failures.count == 4


def test_texts_of_others_are_short() -> None:
    """Neither a name nor a message of a megabyte is carried on."""
    failures = Failures()
    failures.add("x" * 1_000_000, Refused("y" * 1_000_000, "Code"))
    [failure] = failures.causes()
    assert len(failure.units[0]) + len(failure.message) <= 6_000
