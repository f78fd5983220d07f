"""Commit: one record names the staged files. That record is the commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.errors import LakeRefused, Overtaken
from exporter.records import Record, encode_record, record_key, records_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain import Scope
    from exporter.records import FileLine
    from exporter.store import Records


@dataclass(slots=True)
class Journal:
    """One run's place in one scope's commit log: its epoch, and the number of the last record."""

    records: Records
    scope: Scope
    run_id: str
    epoch: int
    number: int

    @classmethod
    async def begin(cls, records: Records, scope: Scope, run_id: str, at: str) -> Journal:
        """Open an epoch with a begin record.

        Raises :class:`LakeRefused` where the lake holds an export of this scope already, and :class:`Overtaken` where
        another run begins at the same time.
        """
        if await records.keys(records_prefix(str(scope))):
            raise LakeRefused(
                f"the lake holds an export of {scope} already, and this version writes a scope only once:"
                " choose another lake"
            )
        journal = cls(records, scope, run_id, epoch=1, number=0)
        await journal._append(Record(kind="begin", scope=str(scope), number=1, epoch=1, run_id=run_id, at=at))
        return journal

    async def commit(self, files: Sequence[FileLine], schema_versions: dict[str, int], at: str) -> Record:
        """Write the record that names ``files``, and give it back.

        Raises :class:`Overtaken` where another run has taken the number: nothing is committed then, nor will be.
        """
        record = Record(
            kind="commit",
            scope=str(self.scope),
            number=self.number + 1,
            epoch=self.epoch,
            run_id=self.run_id,
            at=at,
            schema_versions=schema_versions,
            files=tuple(files),
        )
        await self._append(record)
        return record

    async def _append(self, record: Record) -> None:
        if not await self.records.create(record_key(str(self.scope), record.number), encode_record(record)):
            raise Overtaken(f"another run has committed to {self.scope} in the meantime")
        self.number = record.number
