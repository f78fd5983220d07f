"""Whether the commit log names the data files that readers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.reader import records_after, scopes_in
from exporter.errors import LogDamaged
from exporter.lake.data_files import epoch_of, scope_in
from exporter.lake.tables import folders
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.commit_log.journal import Journal
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.model import Scope


async def check_has_log(store: Store, scope: Scope | None = None) -> None:
    """Raise :class:`LogDamaged` where visible files of a scope, or of any, are there and it has no log at all."""
    found: dict[str, str] = {}
    for folder in folders():
        for key in await store.keys(f"{folder}/"):
            if (own := scope_in(key)) is not None and (scope is None or own == str(scope)):
                found.setdefault(own, key)
    # The log after the files: a run that begins meanwhile commits a file before it shows it.
    known = {str(logged) for logged in await scopes_in(store)} if found else set[str]()
    for own, key in sorted(found.items()):
        if own not in known:
            raise LogDamaged(f"the lake has no commit log of {own}, and files of it are there, {key} for one")


class NamedFiles:
    """What the log of one scope names: a run may add to a partition only where the log knows the files that are there.

    A lake whose log was lost, or restored from an older day than its tables, holds rows that no record names. A run
    would fetch them again, and they would be there twice.

    The mutable state: which partitions were looked at, and what the records from number ``_from`` on say of files.
    """

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._scope = journal.scope
        self._looked_at: set[str] = set()
        self._is_named: dict[str, bool] = {}
        self._from: int | None = None

    async def check(self, files: Iterable[DataFile]) -> None:
        """Raise :class:`LogDamaged` where, beside one of the files, a visible one of this scope is named by no record.

        Each partition is listed once, when it is first asked for: so ask before the run's own first file is there.
        Where another run has committed meanwhile, what is not known here may be its own, and :class:`Overtaken` is
        raised instead.
        """
        for prefix in sorted({file.key.rpartition("/")[0] + "/" for file in files} - self._looked_at):
            unnamed = await self._unnamed(await self._store.keys(prefix))
            if unnamed:
                await self._journal.check_is_newest()
                others = f" (and {counted(len(unnamed) - 1, 'other')})" if len(unnamed) > 1 else ""
                raise LogDamaged(
                    f"the commit log of {self._scope} does not name a file that is there: {min(unnamed)}{others}. The"
                    " log is older than the files, or parts of it are missing"
                )
            self._looked_at.add(prefix)

    async def _unnamed(self, keys: Iterable[str]) -> Mapping[str, int]:
        """Those of the visible files that are this scope's and that no record names, with their epochs.

        A file is named by its own run, and by a later one where it was named anew: so the log is read from the files'
        least epoch on, and the whole of it before anything is said. A log that was begun anew may not reach to it yet.
        """
        ours = {key: epoch for key in keys if (epoch := epoch_of(key, str(self._scope))) is not None}
        for number in (min(ours.values(), default=1), 1):
            ours = {key: epoch for key, epoch in ours.items() if not self._is_named.get(key)}
            if ours and number <= self._journal.epoch:
                await self._read_from(number)
        return {key: epoch for key, epoch in ours.items() if not self._is_named.get(key)}

    async def _read_from(self, number: int) -> None:
        """Learn what the records from ``number`` on say of files, as far as that is not known. The last word counts."""
        if self._from is not None and self._from <= number:
            return
        earlier: dict[str, bool] = {}
        async for record in records_after(self._store, self._scope, number - 1):
            if self._from is not None and record.number >= self._from:
                break
            earlier |= dict.fromkeys(record.removed, False)
            earlier |= {file.key: True for file in record.files}
        self._is_named = earlier | self._is_named
        self._from = number
