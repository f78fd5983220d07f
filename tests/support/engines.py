"""Programs in the environment of other engines: Spark, pandas, ClickHouse, DataFusion and an older DuckDB.

It stands apart, for PyArrow imports pandas wherever that is installed: each process of the tests would pay for it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
#: Made by ``scripts/setup engines``.
PYTHON = ROOT / ".venv-engines" / "bin" / "python"
needs_engines = pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup engines")


def answer_of(program: Sequence[str], folder: Path, *, python: str | Path = PYTHON, zone: str = "UTC") -> Any:
    """What a program prints as JSON in its last line; it runs in ``folder`` and has this project's modules."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "TZ": zone}
    ended = subprocess.run(
        [str(python), *program], env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    return json.loads(ended.stdout.splitlines()[-1])
