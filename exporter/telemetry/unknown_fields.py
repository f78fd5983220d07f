"""Counts of fields that no column is for, by name. Names come from outside, so they are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.text import cut

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

_NAMES_MAX = 1_000
_OTHER_NAMES = "…"


def add_names(total: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts of unknown fields, by name: a thousand names, cut where they are long; all others count as ``…``."""
    for name, count in more.items():
        shown = cut(name)
        total[shown if shown in total or len(total) < _NAMES_MAX else _OTHER_NAMES] += count
