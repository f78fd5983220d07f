"""How often a commit is tried again: others may be faster many times, and the catalog may fail a few times."""

from __future__ import annotations

import pytest

from exporter.catalog.attempts import FAILURES_MAX, FAULTS_MAX, CommitAttempts
from exporter.catalog.errors import CatalogError, CatalogMismatch, CatalogRace

RACE, FAULT = CatalogRace("overtaken"), CatalogError("no answer")


def waits(attempts: CommitAttempts, *errors: CatalogError) -> list[float | None]:
    return [attempts.wait_after(error) for error in errors]


@pytest.mark.parametrize(("error", "allowed"), [(RACE, FAILURES_MAX), (FAULT, FAULTS_MAX)])
def test_there_is_an_end_to_trying(error: CatalogError, allowed: int) -> None:
    """So many may fail, and the one after them is the last."""
    *before, last = waits(CommitAttempts(), *[error] * (allowed + 1))
    assert None not in before
    assert last is None


def test_a_fault_counts_among_the_failures_and_a_race_between_two_faults_changes_nothing() -> None:
    attempts = CommitAttempts()
    assert None not in waits(attempts, FAULT, RACE, FAULT, RACE, FAULT)
    assert attempts.wait_after(FAULT) is None
    attempts = CommitAttempts()
    assert None not in waits(attempts, FAULT, *[RACE] * (FAILURES_MAX - 1))
    assert attempts.wait_after(RACE) is None


def test_what_does_not_fit_is_not_tried_again() -> None:
    assert CommitAttempts().wait_after(CatalogMismatch("another lake's")) is None


def test_waits_double_up_to_a_bound() -> None:
    found = waits(CommitAttempts(), *[RACE] * 8)
    assert found == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
