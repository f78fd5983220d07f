"""Many worlds at once, in processes of their own, and what each of them says."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from tests.simulation.defects import DEFECTS
from tests.simulation.plan import draw_plan
from tests.simulation.world import live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.simulation.plan import Plan

Said = TypeVar("Said")

#: A patch that no longer fits the program raises, and raises in each world: that finds no defect.
_BUGS = frozenset({"no error is a bug", "no error is dropped"})
_WORLDS_AT_ONCE = 10
_FEW = 100
#: A process is replaced after so many pieces of work, for what is left of worlds is not all let go of.
_WORKS_A_PROCESS = 50


def use_one_thread() -> None:
    """Let Arrow compute in the thread that asks: a pool of others would only wait for this one's lock."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def looked_at(
    look: Callable[[str], tuple[str, Said]], names: Sequence[str], processes: int
) -> Iterator[tuple[str, Said]]:
    """What ``look`` says of each name, with the name, in the order in which it is known."""
    if processes <= 1:
        yield from map(look, names)
        return
    size = 1 if len(names) < _FEW else _WORLDS_AT_ONCE
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, use_one_thread, maxtasksperchild=_WORKS_A_PROCESS) as pool:
        yield from pool.imap_unordered(look, names, chunksize=size)


def plan_named(name: str) -> Plan:
    """A world by its name: its seed, and perhaps, behind a colon, the numbers of the steps that are left of it."""
    seed, _, numbers = name.partition(":")
    plan = draw_plan(seed)
    if not numbers:
        return plan
    kept = set(numbers.split(","))
    return replace(plan, steps=tuple(step for step in plan.steps if str(step.number) in kept))


def is_broken(name: str) -> tuple[str, bool]:
    """Whether a law is broken in a world."""
    return name, live(plan_named(name)).finding is not None


def worlds_until_found(worlds_max: int, name: str) -> tuple[str, tuple[int, str]]:
    """How many worlds, ``worlds_max`` at most, it took to find a defect, ``<seed>/<defect>``, and the law it broke.

    It is 0 for a defect that was not found.

    A world that breaks a law without the defect, too, does not count, and no error that only a bug raises.
    """
    seed, _, of_name = name.partition("/")
    (defect,) = (each for each in DEFECTS if each.name == of_name)
    for number in range(worlds_max):
        with defect.put_back():
            told = live(draw_plan(f"{seed}-{number}"))
        if told.finding is None or told.law in _BUGS:
            continue
        if live(draw_plan(f"{seed}-{number}")).finding is None:
            return name, (number + 1, told.law)
    return name, (0, "")
