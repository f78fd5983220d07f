from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.lake.stores.directory import DirectoryStore
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.lake.store import Records


@pytest.fixture(params=["memory", "directory"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Records:
    return MemoryStore() if request.param == "memory" else DirectoryStore(tmp_path)
