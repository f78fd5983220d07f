from __future__ import annotations

import pytest

from exporter.emulator import EmulatorOptions, ServiceOptions
from exporter.emulator.faults.kinds import KINDS, FaultEffect, FaultFrequency, FaultMatch, kinds, parse_fault
from exporter.emulator.server import Emulator


def test_every_part_of_a_text_is_read() -> None:
    """Choice of calls, frequency and the kind's own parameters are all taken."""
    fault = parse_fault(
        "throttle operation=ListStages stage=Ab session=st-1 participant=p units=3/10 p=0.5 first=9 every=2 times=1"
        " status=400 code=SlowDown retry_after_s=1.5"
    )
    assert fault.kind == "throttle"
    assert fault.match == FaultMatch("ListStages", "Ab", "st-1", "p", units=(3, 10))
    assert fault.frequency == FaultFrequency(p=0.5, first=9, every=2, times=1)
    assert fault.effect == FaultEffect(400, "SlowDown", retry_after_s=1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no kind"),
        ("thrott1e", "no kind 'thrott1e'"),
        ("throttle p", "not NAME=VALUE"),
        ("throttle p=", "not NAME=VALUE"),
        ("throttle p=2", "p=2 is not a chance"),
        ("throttle p=nan", "not a number"),
        ("throttle p=0.1 p=0.2", "there twice"),
        ("throttle seconds=1", "not 'seconds'"),
        ("throttle operation=DeleteStage", "none of ListStages"),
        ("throttle units=10/10", "K below N"),
        ("throttle first=0", "count of 1"),
        ("throttle status=200", "400 to 599"),
        ("slow seconds=-1", "0 or more"),
        ("wrong_types first=1", "not 'first'"),
        ("wrong_types operation=GetStage", "is of ListParticipantEvents, ListStages"),
        ("no_time operation=ListStages", "is of ListParticipantEvents, ListStageSessions"),
        ("foreign_participant operation=ListParticipants", "is of ListParticipantEvents"),
        ("wrong_types member=colour", "ListParticipantEvents has no member 'colour'"),
        ("wrong_types operation=ListStages member=userId", "ListStages has no member 'userId'"),
        ("unknown_fields member=name", "not 'member'"),
    ],
)
def test_a_bad_text_says_what_is_wrong(text: str, said: str) -> None:
    """A text that can't be read raises a ValueError that quotes it and names the flaw."""
    with pytest.raises(ValueError, match=f"fault {text!r}.*{said}"):
        parse_fault(text)


def test_every_kind_is_described() -> None:
    """The listing for a command's help has one line for each kind."""
    assert [name for name, _ in kinds()] == list(KINDS)
    assert all(text and "\n" not in text for _, text in kinds())


def test_a_bad_plan_changes_nothing() -> None:
    """Replacing the plan by one with a bad text keeps the old one."""
    emulator = Emulator(EmulatorOptions(service=ServiceOptions(faults=("reset",))))
    with pytest.raises(ValueError, match="no kind"):
        emulator.faults.replace(["slow", "broken"])
    assert [each["fault"] for each in emulator.faults.describe()] == ["reset"]
