"""Marks: up to which record of a scope's log a table has the files. They stand among the table's own properties.

A mark is written by the transaction that adds the files, so that neither is ever there without the other. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.catalog.errors import CatalogMismatch
from exporter.text import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "ivs-export.published."
_FORM = re.compile(r"([1-9][0-9]{0,11}) ([0-9a-f]{64}) (\S+)(?: ([1-9][0-9]{0,11}))?")


@dataclass(frozen=True, slots=True)
class Mark:
    """The last record of a scope whose files are published.

    ``checksum`` is the SHA-256 of the record as it is stored, in hexadecimal. ``lake_id`` is that of the lake whose log
    it stands in. Files that later records take away need not be listed first: up to the record ``skipped_until``, which
    is 0 where none was skipped, a file that leaves may never have been listed.
    """

    number: int
    checksum: str
    lake_id: str
    skipped_until: int = 0

    def __str__(self) -> str:
        skipped = f" {self.skipped_until}" if self.skipped_until else ""
        return f"{self.number} {self.checksum} {self.lake_id}{skipped}"


def property_of(scope: str) -> str:
    """The name of the property that holds a scope's mark."""
    return f"{_PREFIX}{scope}"


def mark_properties(properties: Mapping[str, str]) -> set[str]:
    """The names of the properties that hold marks."""
    return {name for name in properties if name.startswith(_PREFIX)}


def marks_in(properties: Mapping[str, str]) -> dict[str, Mark]:
    """Read the marks of all scopes, by the scopes' names. Raises :class:`CatalogMismatch` for one that is none."""
    marks = {}
    for name in mark_properties(properties):
        form = _FORM.fullmatch(properties[name])
        if form is None:
            raise CatalogMismatch(f"the property {name} is no mark, but {quoted(properties[name])}")
        marks[name.removeprefix(_PREFIX)] = Mark(int(form[1]), form[2], form[3], int(form[4] or 0))
    return marks


def misfit_of(mark: Mark, lake_id: str, checksum: str | None) -> str | None:
    """Say why a mark does not fit the log; None where it does.

    ``checksum`` is that of the log's record of that number, None where the log ends before it.
    """
    if mark.lake_id != lake_id:
        return f"it was published from another lake ({quoted(mark.lake_id)})"
    if checksum is None:
        return f"record {mark.number:,} was published, and the log ends before it: it is older than the table"
    if mark.checksum != checksum:
        return f"record {mark.number:,} was published, and the log has another one of that number"
    return None
