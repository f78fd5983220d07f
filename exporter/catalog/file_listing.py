"""Files of the lake, described as a table lists them: the end of each is read, a few at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.errors import CatalogError
from exporter.catalog.file_ends import read_end
from exporter.compute import compute
from exporter.errors import ExportError, FileDamaged, FileLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.loaded_tables import ListFile
    from exporter.lake.store import Files

_FILES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class FileListing:
    """The files as a table will list them, by their keys, and by scope why one of its files can't be."""

    listed: dict[str, ListedFile] = field(default_factory=dict)
    failed: dict[str, ExportError] = field(default_factory=dict)


async def list_files(store: Files, lister: ListFile, files: Iterable[LoggedFile]) -> FileListing:
    """Describe data files. Of a scope of which one fails, the rest may be left out.

    Raises :class:`LakeError` where the lake can't be read.
    """
    listing = FileListing()
    slots = asyncio.Semaphore(_FILES_AT_ONCE)

    async def read(file: LoggedFile) -> None:
        async with slots:
            if file.scope in listing.failed:
                return
            try:
                listing.listed[file.key] = await compute(lister, file, await read_end(store, file))
            except (FileLost, FileDamaged, CatalogError) as error:
                listing.failed.setdefault(file.scope, error)

    for error in filter(None, await asyncio.gather(*map(read, files), return_exceptions=True)):
        raise error
    return listing
