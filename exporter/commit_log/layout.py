"""Where records, snapshots and leases of a scope lie, and which files there are the log's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAMES_SHOWN, _NAME_LENGTH_SHOWN = 10, 200
_NUMBERED = re.compile(r"[0-9]{12}\.json")
_log = Logger(__name__)


def snapshots_prefix(scope: str) -> str:
    """Where a scope's snapshots lie."""
    return f"_log/{scope}/snapshots/"


def records_prefix(scope: str) -> str:
    """Where a scope's records lie."""
    return f"_log/{scope}/records/"


def record_key(scope: str, number: int) -> str:
    """The key of a record. Numbers have twelve digits, so that keys sort as numbers do."""
    return f"{records_prefix(scope)}{number:012d}.json"


def numbered(prefix: str, keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """The keys of records, snapshots or leases right below ``prefix``, a folder's, and the names that are not ours.

    A folder is shared: a desktop leaves ``.DS_Store`` there, a sync tool its copies.
    """
    own: list[str] = []
    strange: list[str] = []
    for key in keys:
        name = key.removeprefix(prefix)
        if _NUMBERED.fullmatch(name):
            own.append(key)
        else:
            strange.append(name)
    return own, strange


def pass_over(prefix: str, names: Sequence[str]) -> None:
    """Say that a folder of the log holds files that are not the exporter's, and that they are left alone."""
    if names:
        shown = [name[:_NAME_LENGTH_SHOWN] for name in names[:_NAMES_SHOWN]]
        _log.warning("files_passed_over", folder=prefix, names=shown, count=len(names), reason="they are not ours")


def number_of(key: str) -> int:
    """The number in a record's, a snapshot's or a lease's key, whose form `numbered` has seen."""
    return int(key.rpartition("/")[2].removesuffix(".json"))
