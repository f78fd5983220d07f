"""Compacted files that no table lists: of a compaction that died, or was overtaken. They are removed later.

Only files of this very table's own, by their names, below its own folder in the lake, which no snapshot names and which
were begun days ago: a compaction that is still under way is not disturbed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.catalog.foreign_errors import asking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.compacted import TablePlaces
    from exporter.catalog.open import OpenCatalog

#: A compaction makes what is committed at once within minutes, and at most within hours.
SAFE_S = 3 * 86_400
_MICROS = 1_000_000


async def remove_abandoned(opened: OpenCatalog, found: IcebergTable, places: TablePlaces) -> int:
    """Remove what is abandoned, and return how many files that were; none where the tables lie outside of the lake.

    There it is not listed: who keeps that place removes what nothing names. Raises :class:`CatalogError` and
    :class:`LakeError`.
    """
    folder = opened.lake.key_of(places.folder)
    if folder is None:
        return 0
    oldest_s = opened.clock.wall_us() // _MICROS - SAFE_S
    removed = 0
    for staged in await opened.store.leftovers(folder):
        if _is_old(places, opened.url_of(staged.key), oldest_s):
            await opened.store.discard(staged)
            removed += 1
    urls = {opened.url_of(key): key for key in await opened.store.keys(f"{folder}/")}
    old = {url for url in urls if _is_old(places, url, oldest_s)}
    for url in sorted(old - await opened.ask(_named_in, opened, found, old)):
        await opened.store.remove(urls[url])
        removed += 1
    return removed


def _is_old(places: TablePlaces, url: str, oldest_s: int) -> bool:
    began_s = places.began_s(url)
    return began_s is not None and began_s < oldest_s


def _named_in(opened: OpenCatalog, found: IcebergTable, urls: Iterable[str]) -> set[str]:
    """Those of these files that a snapshot of the table names, also one of long ago: a reader may travel there."""
    left = set(urls)
    named: set[str] = set()
    read: set[str] = set()
    with asking("read what the table has listed", opened.tables.properties):
        for snapshot in reversed(found.snapshots()):
            if not left:
                break
            for manifest in snapshot.manifests(found.io):
                if manifest.manifest_path not in read:
                    read.add(manifest.manifest_path)
                    there = {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(found.io)}
                    named |= left & there
                    left -= there
    return named
