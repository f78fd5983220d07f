"""A run whose scopes are tasks on a Dask cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from exporter.cli.invocation import is_terminal
from exporter.cli.own_session import own_session
from exporter.cluster.dask_cluster import DaskRun, check_address
from exporter.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.cli.invocation import Invocation


def use_dask(invocation: Invocation, address: str, level: str, config: Path | None, *, is_dry: bool) -> None:
    """Let the invocation's run go to the cluster. Raises :class:`UsageError` for what is none, and for a dry run.

    On a terminal, tasks on this machine log warnings alone: the display and the summary show the rest.
    """
    if is_dry:
        raise UsageError("--dask with --dry-run is refused: a plan takes one process")
    check_address(address)
    named = None if config is None else str(config.expanduser().absolute())
    shown_level = "warning" if level == "info" and is_terminal(sys.stderr) else level
    invocation.export = DaskRun(address, own_session, shown_level, named)
