"""A scope's ledger: whatever is noted in whatever order, found is the sum of the outcomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import Refused
from exporter.ledger import ScopeLedger
from exporter.model import Outcome
from exporter.pipeline.run_ledger import RunLedger

ERROR = Refused("denied", "AccessDeniedException")
VERBS = ("found", "ended", "failed", "deferred")


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.sampled_from(list(Outcome))), max_size=80), st.integers(0, 5))
def test_found_is_the_sum_of_the_outcomes(verbs: list[tuple[str, Outcome]], listings: int) -> None:
    """Units end once each, and what has not ended is deferred at the end, once; short is never called complete."""
    ledger = ScopeLedger("eu-west-1", "123456789012")
    for _ in range(listings):
        ledger.listing_needed()
    for verb, outcome in verbs:
        if verb == "found" or not ledger.units_open:
            ledger.unit_found()
        elif verb == "ended":
            ledger.unit_ended(outcome)
        elif verb == "failed":
            ledger.unit_failed("unit", ERROR)
        else:
            ledger.unit_deferred("unit", ERROR)
    ledger.close()
    ledger.close()
    summary = RunLedger("x", [ledger]).summary(1.0)
    for words in (summary, summary["scopes"][0]):
        units = dict(words["units"])
        assert units.pop("found") == sum(units.values()) == ledger.units_found
    is_short = bool(listings or ledger.outcomes[Outcome.FAILED] or ledger.outcomes[Outcome.DEFERRED])
    assert ledger.is_complete is not is_short


def test_nobody_changes_the_counts_from_outside() -> None:
    """They are read-only, and an outcome of a unit that nobody found is a defect that is seen at once."""
    ledger = ScopeLedger("eu-west-1")
    with pytest.raises(TypeError):
        ledger.outcomes[Outcome.EXPORTED] = 1  # type: ignore[index] # what must not be possible
    with pytest.raises(AttributeError):
        ledger.units_found = 1  # type: ignore[misc] # the same
    with pytest.raises(AssertionError, match="more outcomes than units"):
        ledger.unit_ended(Outcome.EXPORTED)
