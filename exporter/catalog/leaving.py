"""What a table lists no longer where files of the lake leave it: they themselves, or compacted ones with their rows.

A compacted file is not written anew without those rows: the other files that it was made of are still in the lake, so
they are listed again in its place. The next compaction merges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.catalog.compacted import TablePlaces, date_of
from exporter.catalog.edit import Leaving, TakenApart
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.foreign_errors import asking
from exporter.catalog.table_files import originals_of
from exporter.catalog.transaction import all_listed_in

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.open import OpenCatalog
    from exporter.lake.tables.table import Table


def places_of_table(opened: OpenCatalog, found: IcebergTable, table: Table) -> TablePlaces:
    """Where the files of a table are."""
    location = opened.tables.location_of(table)
    return TablePlaces(table, opened.lake.places.lake, location, found.metadata.table_uuid.hex)


def leaving_of(
    opened: OpenCatalog,
    found: IcebergTable,
    table: Table,
    gone: Collection[str],
    maybe_skipped: Collection[str] = (),
) -> Leaving:
    """Work out how some files of the lake, by their keys, leave a table. It reads every manifest, and blocks.

    Raises :class:`CatalogMismatch` where the table does not list the rows of one that is not ``maybe_skipped``,
    :class:`FileDamaged` and :class:`FileLost` for a compacted file that can't be read, and :class:`LakeError`.
    """
    places = places_of_table(opened, found, table)
    urls, dates = {opened.url_of(key) for key in gone}, {date_of(table, key) for key in gone}
    with asking(f"read what {table.name} lists", opened.tables.properties):
        listed = [
            file
            for file in all_listed_in(found)
            if file.file_path in urls or places.compacted_date(file.file_path) in dates
        ]
        removed = [file for file in listed if file.file_path in urls]
        left = urls - {file.file_path for file in removed}
        taken_apart = []
        for file in listed if left else ():
            if file.file_path in urls:
                continue
            originals = originals_of(places, opened.lake, found.io, file)
            leaves = tuple(original for original in originals if original.key in gone)
            if leaves:
                removed.append(file)
                taken_apart.append(TakenApart(leaves, tuple(each for each in originals if each.key not in gone)))
                left -= {opened.url_of(original.key) for original in leaves}
    if left := left - {opened.url_of(key) for key in maybe_skipped}:
        raise CatalogMismatch(f"the table {table.name} does not list {min(left)}, which was published")
    return Leaving(removed, taken_apart)
