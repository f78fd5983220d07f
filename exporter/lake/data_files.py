"""Data files: what a record says of one, and their names, which are unique for ever."""

from __future__ import annotations

import re

import msgspec

from exporter.lake.store import Staged


class DataFile(msgspec.Struct, frozen=True):
    """A data file: where it appears, what is in it, and how its store finds it while it is staged.

    A file of rejects is of no table: it has no rows, and an empty date.
    """

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


_NAME = re.compile(r"(?P<scope>[0-9]{12}-[a-z]+(?:-[a-z]+)+-[0-9]+)-[0-9]{9,}-.+-[0-9]{6,}\.[a-z]+")


def file_name(scope: str, epoch: int, run_id: str, number: int) -> str:
    """Name a data file, unique for ever: scope, the run's epoch, the run, and the file's number in the run."""
    return f"{scope}-{epoch:09d}-{run_id}-{number:06d}"


def scope_in(key: str) -> str | None:
    """Read from a data file's name for which scope it was made; None where the name is not one of the exporter's."""
    match = _NAME.fullmatch(key.rpartition("/")[2])
    return None if match is None else match["scope"]


def epoch_of(key: str, scope: str) -> int | None:
    """Read the epoch in a data file's name; None where it was not made for this scope."""
    name = key.rpartition("/")[2]
    own, _, rest = name.partition(f"{scope}-")
    number, _, run = rest.partition("-")
    return int(number) if not own and run and number.isascii() and number.isdecimal() else None


def is_older(key: str, scope: str, epoch: int) -> bool:
    """Whether a data file was written for this scope by a writer of an earlier epoch."""
    own = epoch_of(key, scope)
    return own is not None and own < epoch
