from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.own_process import left_as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """A command takes over signals and logs of its process; here it shares one with the tests."""
    with left_as_it_was():
        yield
