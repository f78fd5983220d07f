"""Which of the files that lie in a table's folder are read as the table's. Pure but for the line that names the others.

The place is shared: other programs leave files there, and people copies. What lies right in the folder of a date is
read, as every reader does, so that a copy there is seen: `checks` names events that stand twice, and `verify` the file.
What lies elsewhere is of no date, and of no table.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from exporter.telemetry.logger import Logger
from exporter.views.columns import DATE_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = Logger(__name__)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAMED_MAX, _NAME_LENGTH_MAX = 3, 200


def own_files(table: str, sizes: Mapping[str, int]) -> dict[str, int]:
    """Select the table's files, by their keys, of all that end as data files do; say once what is passed over."""
    own = {key: size for key, size in sizes.items() if is_of_table(table, key)}
    strange = [key for key in sizes if key not in own]
    if strange:
        shown = [key[:_NAME_LENGTH_MAX] for key in strange[:_NAMED_MAX]]
        _log.warning("files_passed_over", files=shown, count=len(strange), reason="they lie in no date's folder")
    return own


def is_of_table(table: str, key: str) -> bool:
    """Whether a file is a data file of the table's, by its key alone."""
    folder, _, name = key.rpartition("/")
    before, _, day = folder.rpartition("=")
    return before == f"{table}/{DATE_KEYS[table]}" and _is_date(day) and name.endswith(".parquet")


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
