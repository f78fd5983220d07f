"""From a world that breaks a law to the least of it that still does, and to words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.world import live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.plan import Plan
    from tests.simulation.world import Told

_SHOWN = 60


def shrink(told: Told) -> Told:
    """The same finding after fewer steps: the shortest beginning first, and then without steps in its midst."""
    for count in range(len(told.plan.steps)):
        shorter = live(replace(told.plan, steps=told.plan.steps[:count]))
        if shorter.finding is not None:
            told = shorter
            break
    for step in told.plan.steps:
        fewer = tuple(each for each in told.plan.steps if each is not step)
        shorter = live(replace(told.plan, steps=fewer))
        if shorter.finding is not None and shorter.law == told.law:
            told = shorter
    return told


def words(told: Told) -> Iterator[str]:
    """A world's finding for people: what it is, the steps that lead to it, and the last things that happened."""
    yield f"world {name_of(told.plan)}: {told.finding}"
    yield f"features: {', '.join(sorted(told.plan.features)) or 'none'}; grace {told.plan.grace_s:g} s"
    yield f"bounds: {told.plan.bounds}, {told.plan.page_size} a page"
    yield from (step.words() for step in told.plan.steps)
    yield f"the last of {len(told.trace)} things that happened:"
    for at_s, who, what, of, how in told.trace[-_SHOWN:]:
        yield f"  {at_s:12.3f} s  {who:14} {what} {of}" + (f" ({how})" if how else "")


def name_of(plan: Plan) -> str:
    """The name by which a world can be had again: its seed, and the numbers of the steps that are left, if not all."""
    if len(plan.steps) == plan.steps_drawn:
        return plan.seed
    return f"{plan.seed}:{','.join(str(step.number) for step in plan.steps) or 'none'}"
