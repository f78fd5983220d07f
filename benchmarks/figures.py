"""What a benchmark found: figures beside their targets, and the table that shows them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``is_met`` is None where there is no target; ``note`` says what binds where one is missed."""

    name: str
    measured: str
    target: str = ""
    is_met: bool | None = None
    note: str = ""


def show(figures: Iterable[Figure]) -> None:
    """Print each figure as it comes, on a line: met or missed, its name, what was measured, its target."""
    for figure in figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.is_met]
        target = f"(target: {figure.target})" if figure.target else ""
        sys.stdout.write(f"{mark:7}{figure.name:58} {figure.measured:>22}  {target}".rstrip() + "\n")
        if figure.note:
            sys.stdout.write(f"{'':7}{figure.note}\n")
        sys.stdout.flush()


def show_topic(topic: str, quick: bool) -> None:  # noqa: FBT001 - a process is given no names
    """Show what a module of this package has in its ``figures``; exits with 1 where that breaks."""
    try:
        show(import_module(f"benchmarks.{topic}").figures(quick=quick))
    except Exception as error:  # noqa: BLE001 - whatever broke one topic must not take the others with it
        show([Figure(topic, "broke", is_met=False, note=f"{type(error).__name__}: {error}")])
        sys.exit(1)
