"""Which of the files that lie in a table's folder are the table's. Pure but for the line that names the others.

The place is shared: other programs leave files there, and people copies. What a record of a log can't have named is not
read, and nothing that such a file says, or how its folder is called, is in an answer.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from exporter.lake.data_files import scope_in
from exporter.telemetry.logger import Logger
from exporter.views.columns import DATE_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = Logger(__name__)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAMED_MAX, _NAME_LENGTH_MAX = 3, 200


def own_files(table: str, sizes: Mapping[str, int], *, is_named: bool) -> dict[str, int]:
    """Select the table's own files, by their keys, of all that end as data files do; say once what is passed over.

    A file is the table's where it lies right in the folder of a date. With ``is_named`` it also has a name of the
    exporter's; a lake without a log may have been written by anything.
    """
    own = {key: size for key, size in sizes.items() if is_of_table(table, key, is_named=is_named)}
    strange = [key for key in sizes if key not in own]
    if strange:
        shown = [key[:_NAME_LENGTH_MAX] for key in strange[:_NAMED_MAX]]
        _log.warning("files_passed_over", files=shown, count=len(strange), reason="they are not ivs-export's")
    return own


def is_of_table(table: str, key: str, *, is_named: bool) -> bool:
    """Whether a file is a data file of the table's, by its key alone."""
    folder, _, name = key.rpartition("/")
    before, _, day = folder.rpartition("=")
    is_there = before == f"{table}/{DATE_KEYS[table]}" and _is_date(day) and name.endswith(".parquet")
    return is_there and (not is_named or scope_in(key) is not None)


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
