"""Compacted files: what they are called, and which files of the lake their rows are from.

A compacted file says so itself, in its Parquet metadata: what a table lists is then never apart from what is known of
it, also where a process dies. Its name says how much it stands for, so that a plan needs no look into it. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from exporter.catalog.changes import LoggedFile
from exporter.errors import FileDamaged
from exporter.json_errors import UNREADABLE
from exporter.lake.data_files import scope_in
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.lake.tables.table import Table

#: The key in a compacted file's metadata of the files whose rows it has: their names, rows and sizes in bytes.
ORIGINALS_KEY = "ivs-export.compacted-from"
_FOLDER = "data"
_DATE = r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_NAME = re.compile(r"(?P<began>[0-9]{12})-(?P<originals>[1-9][0-9]*)-(?P<size>[1-9][0-9]*)-[0-9a-f]{16}\.parquet")
_decode = msgspec.json.Decoder(list[tuple[str, int, int]])


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a table lists, and that may be merged: one of the lake's, or a compacted one.

    ``size_bytes`` is that of the lake's ``originals`` that it stands for: what is merged does not weigh less. ``date``
    is that of its folder.
    """

    url: str
    date: str
    rows: int
    size_bytes: int
    originals: int = 1


@dataclass(frozen=True, slots=True)
class TablePlaces:
    """Where the files of a table are: those of the lake, below the URL ``lake``, and its own, below ``location``.

    ``uuid`` is the table's own id: another catalog may have a table at the same place.
    """

    table: Table
    lake: str
    location: str
    uuid: str

    @property
    def folder(self) -> str:
        """Where this table's compacted files lie."""
        return f"{self.location}/{_FOLDER}/{self.uuid}"

    def new_url(self, day: str, began_s: int, parts: Iterable[Part], token: str) -> str:
        """Where a compacted file of these parts will lie; ``token`` makes its name unique for ever."""
        of = list(parts)
        name = (
            f"{began_s:012d}-{sum(part.originals for part in of)}-{sum(part.size_bytes for part in of)}-{token}.parquet"
        )
        return f"{self.folder}/{self.table.date_key}={day}/{name}"

    def part_of(self, url: str, rows: int, size_bytes: int) -> Part | None:
        """A listed file; None where it is neither of the lake's nor a compacted one, but an engine's."""
        day, name = self._day_and_name(url, f"{self.lake}/{self.table.name}")
        if day is not None:
            return None if scope_in(name) is None else Part(url, day, rows, size_bytes)
        day, form = self._compacted(url)
        return None if day is None or form is None else Part(url, day, rows, int(form["size"]), int(form["originals"]))

    def compacted_date(self, url: str) -> str | None:
        """The date of a compacted file; None of any other file."""
        return self._compacted(url)[0]

    def began_s(self, url: str) -> int | None:
        """When a compacted file of this table was begun, in seconds since the epoch; None of any other file."""
        form = self._compacted(url)[1] if url.startswith(f"{self.folder}/") else None
        return None if form is None else int(form["began"])

    def _compacted(self, url: str) -> tuple[str | None, re.Match[str] | None]:
        """Of whichever id the table was when the file was made."""
        folder = f"{self.location}/{_FOLDER}"
        of_table, slash, _ = url.removeprefix(f"{folder}/").partition("/")
        if not slash or not url.startswith(f"{folder}/"):
            return None, None
        day, name = self._day_and_name(url, f"{folder}/{of_table}")
        form = _NAME.fullmatch(name)
        return (None, None) if day is None or form is None else (day, form)

    def _day_and_name(self, url: str, folder: str) -> tuple[str | None, str]:
        form = re.fullmatch(rf"{re.escape(f'{folder}/{self.table.date_key}=')}{_DATE}/(?P<name>[^/]+)", url)
        if form is None or not _is_date(form["date"]):
            return None, ""
        return form["date"], form["name"]


def date_of(table: Table, key: str) -> str:
    """The date in the key of one of a table's files of the lake."""
    return key.removeprefix(f"{table.name}/{table.date_key}=").partition("/")[0]


def originals_text(originals: Iterable[LoggedFile]) -> str:
    """What a compacted file says of the lake's files whose rows it has. All are of one date, which its folder says."""
    return msgspec.json.encode(
        [(file.key.rpartition("/")[2], file.rows, file.size_bytes) for file in originals]
    ).decode()


def originals_in(table: Table, url: str, day: str, metadata: Mapping[bytes, bytes] | None) -> list[LoggedFile]:
    """Read which of the lake's files a compacted file has the rows of, from its metadata.

    Raises :class:`FileDamaged` where it does not say so, or not in this form.
    """
    body = (metadata or {}).get(ORIGINALS_KEY.encode())
    try:
        named = _decode.decode(body or b"")
    except UNREADABLE as error:
        raise unreadable(url, "it does not say which files it was made of") from error
    originals = []
    for name, rows, size_bytes in named:
        scope = scope_in(name)
        if scope is None or "/" in name or not name.isprintable() or rows < 0 or size_bytes <= 0:
            raise unreadable(url, "it names a file that no lake has")
        key = f"{table.name}/{table.date_key}={day}/{name}"
        originals.append(LoggedFile(scope, table.name, key, day, rows, size_bytes))
    return originals


def unreadable(url: str, reason: str) -> FileDamaged:
    """A merged file, or one to merge, that is not what it should be."""
    return FileDamaged(
        f"{url} is damaged: {one_line(reason)}; `ivs-export repair` sets a file of the lake aside,"
        " `ivs-export publish --rebuild` lists the lake's own files again in the place of a merged one"
    )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
