"""Exports Amazon IVS Real-Time participant events into a data lake of Parquet files.

From Python (docs/python.md)::

    summary = exporter.export({"lake": "s3://my-lake/ivs", "regions": ["eu-west-1"]})

Nothing but the version is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.discovery.request import Period, Request, ScopeChoice
    from exporter.errors import ExportError, UsageError
    from exporter.library.failed import RunFailed
    from exporter.settings import Settings
    from exporter.summary import RunSummary

__all__ = [
    "ExportError",
    "Period",
    "Request",
    "RunFailed",
    "RunSummary",
    "ScopeChoice",
    "Settings",
    "UsageError",
    "export",
]
__version__ = "0.2.0"

_HOMES = {
    **dict.fromkeys(("ExportError", "UsageError"), "exporter.errors"),
    **dict.fromkeys(("Period", "Request", "ScopeChoice"), "exporter.discovery.request"),
    "RunFailed": "exporter.library.failed",
    "RunSummary": "exporter.summary",
    "Settings": "exporter.settings",
}


def export(settings: Settings | Mapping[str, Any], request: Request | None = None) -> RunSummary:
    """Export what the lake lacks, and return the object that ``ivs-export run --json`` prints.

    ``settings`` are :class:`Settings`, or a mapping shaped like the settings' file; no variable of ivs-export's own is
    read. ``request`` says what is asked for beyond them; None: everything. It may be called in any thread, in many at
    once, and where an event loop runs: the run has a thread and a loop of its own, and the caller waits for it. No
    signal handler, log handler or limit of the process is changed. A KeyboardInterrupt, or whatever else is raised in
    the waiting thread, lets the run commit what was fetched whole, and is then raised.

    A partial run returns, and so does one that found all its scopes held: see ``exit_code`` and ``failures``. Raises
    :class:`UsageError` where the settings are wrong and nothing was started, :class:`RunFailed`, with the summary,
    where the run failed as a whole, and other :class:`ExportError` where it could not begin.
    """
    from exporter.library.export import export as carry_out  # noqa: PLC0415 - brings aioboto3 and Arrow

    return carry_out(settings, request)


def __getattr__(name: str) -> object:
    """The types of this package's calls, imported when they are asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
