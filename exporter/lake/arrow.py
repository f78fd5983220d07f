"""The parts of Arrow that are slow to import, imported at their first use: a run that finds nothing new makes no rows.

`pc` is `pyarrow.compute` (25 ms), and `pq` is `pyarrow.parquet` (6 ms).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Later:
    """A module that is imported when something of it is first asked for, by whichever thread."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - PyArrow has no types
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


pc: Any = _Later("pyarrow.compute")
pq: Any = _Later("pyarrow.parquet")
