"""The commit log's records: what one commit of one scope says, as JSON.

A record lies under ``_log/<account>-<region>/records/<number>.json``. Its number is the one behind the last, and it is
made once, by compare-and-set.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from exporter import __version__
from exporter.store import Staged

#: The format's version. A reader refuses a newer major version, and passes over fields that it does not know.
FORMAT = "ivs-export commit log"
FORMAT_MAJOR, FORMAT_MINOR = 1, 0


class FileLine(msgspec.Struct, frozen=True):
    """A data file: where it appears, what is in it, and how its store finds it while it is staged."""

    table: str
    key: str
    date: str
    rows: int
    size_bytes: int
    sha256: str
    handle: tuple[str, ...]

    @property
    def staged(self) -> Staged:
        """The file as its store knows it."""
        return Staged(self.key, self.size_bytes, self.handle)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. A ``begin`` names no files: it opens a run's epoch, and fences earlier writers off.

    ``epoch`` is the number of the run's begin record. ``at`` is the writer's local time, for people only.
    ``schema_versions`` tells each table's.
    """

    format: str = FORMAT
    major: int = FORMAT_MAJOR
    minor: int = FORMAT_MINOR
    kind: Literal["begin", "commit"]
    scope: str
    number: int
    epoch: int
    run_id: str
    at: str
    writer: str = f"ivs-export {__version__}"
    schema_versions: dict[str, int] = {}
    files: tuple[FileLine, ...] = ()


def encode_record(record: Record) -> bytes:
    """The record as it is stored."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1)


def records_prefix(scope: str) -> str:
    """Where a scope's records lie."""
    return f"_log/{scope}/records/"


def record_key(scope: str, number: int) -> str:
    """The key of a record. Numbers have twelve digits, so that keys sort as numbers do."""
    return f"{records_prefix(scope)}{number:012d}.json"
