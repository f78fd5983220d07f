"""Which merges a table has, which it can take, and which were overtaken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from exporter.catalog.compact import sort_merges
from exporter.catalog.compacted import Part
from exporter.catalog.compaction import Merge
from exporter.catalog.merging import Merged

DAY = "2026-11-23"


def merged(url: str, *parts: str) -> Merged:
    merge = Merge(DAY, tuple(Part(part, DAY, 1, 1) for part in parts))
    return Merged(merge, cast("Any", SimpleNamespace(file_path=url)))


@pytest.mark.parametrize(
    ("listed", "landed", "whole"),
    [
        ({"a", "b"}, False, True),
        ({"ab"}, True, False),
        ({"ab", "a", "b"}, True, False),
        ({"a"}, False, False),
        (set(), False, False),
    ],
)
def test_a_merge_is_there_or_can_be_made_or_was_overtaken(listed: set[str], landed: bool, whole: bool) -> None:
    of_two = merged("ab", "a", "b")
    assert sort_merges([of_two], listed) == ([of_two] * landed, [of_two] * whole)
