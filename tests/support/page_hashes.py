"""The identities of the events of a page, for tests that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.normalize.hashed_pages import hash_page

if TYPE_CHECKING:
    from exporter.model import Unit


def page_hashes(unit: Unit, page: bytes) -> list[int]:
    found: list[int] = hash_page(unit, page).hashes.to_pylist()
    return found
