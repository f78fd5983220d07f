"""The identities of the events of a page, for tests that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.normalize.event_id import page_hash_column

if TYPE_CHECKING:
    from exporter.model import Unit


def page_hashes(unit: Unit, page: bytes) -> list[int]:
    found: list[int] = page_hash_column(unit, page).to_pylist()
    return found
