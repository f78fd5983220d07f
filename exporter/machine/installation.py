"""How this program was installed, and so how an extra of it is."""

from __future__ import annotations

import sys
from pathlib import Path

#: What each tool leaves in an environment that it has made for one program, and the command that makes it anew with an
#: extra. pip in a terminal would install into another one.
_BY_TOOL = {"uv-receipt.toml": "uv tool install", "pipx_metadata.json": "pipx install --force"}


def how_to_add(extra: str, *, prefix: str = sys.prefix) -> str:
    """Write the command that installs this program with an extra; ``prefix`` is where its Python is installed."""
    made_by = (command for file, command in _BY_TOOL.items() if Path(prefix, file).exists())
    return f"{next(made_by, 'pip install')} 'ivs-export[{extra}]'"
