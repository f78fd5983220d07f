"""The one place that changes what a table lists. Files and marks change together, or not at all.

Each commit says which snapshot it was planned on, also where only marks change: else a slow publisher could set a mark
back, and the next one would add files a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.expressions import AlwaysTrue

from exporter.catalog.errors import CatalogRace
from exporter.catalog.foreign_errors import asking, described
from exporter.catalog.updates import planned_on

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pyiceberg.manifest import DataFile as ListedFile
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table import Transaction

    from exporter.catalog.edit import TableEdit
    from exporter.catalog.file_io import OpenLake


#: The property that names the snapshot of the last commit: properties stay where an engine rolls a table back.
LAST_SNAPSHOT = "ivs-export.snapshot"


def commit(table: IcebergTable, edit: TableEdit, lake: OpenLake, properties: Mapping[str, str]) -> None:
    """Change a table, which stands as it was loaded. It blocks.

    ``properties`` are those that the catalog was opened with. Raises :class:`CatalogRace` where another was faster, or
    where it is not known whether it was done: load the table again, and look at its marks. Raises
    :class:`CatalogError` for what no other try will change; even then it may have been done.
    """
    with asking(f"commit to the table {'.'.join(table.name())}", properties):
        transaction = planned_on(table)
        if edit.forgotten:
            transaction.remove_properties(*edit.forgotten)
        if edit.properties:
            transaction.set_properties(dict(edit.properties))
        snapshot_id = _list_files(transaction, edit, has_files=table.current_snapshot() is not None)
        if snapshot_id is not None:
            transaction.set_properties({LAST_SNAPSHOT: str(snapshot_id)})
        try:
            transaction.commit_transaction()
        except CommitFailedException as error:
            if not _has_landed(table, transaction, lake):
                raise CatalogRace(f"{'.'.join(table.name())} was changed by another publisher") from error
        except CommitStateUnknownException as error:
            raise CatalogRace(f"the catalog does not say what it did: {described(error, properties)}") from error


def listed_in(table: IcebergTable, urls: Collection[str]) -> dict[str, ListedFile]:
    """The files at these places as the table lists them, by their places. It reads every manifest, and blocks."""
    found = all_listed_in(table) if urls else ()
    return {file.file_path: file for file in found if file.file_path in urls}


def all_listed_in(table: IcebergTable) -> Iterator[ListedFile]:
    """All files as the table lists them. It reads every manifest, and blocks."""
    snapshot = table.current_snapshot()
    for manifest in () if snapshot is None else snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file


def is_rolled_back(table: IcebergTable) -> bool:
    """Whether a table was set back to a time before the last commit: its marks stayed, and the files are gone.

    Snapshots that were expired say nothing, and count for whole.
    """
    last, snapshot = table.properties.get(LAST_SNAPSHOT), table.current_snapshot()
    if last is None or snapshot is None:
        return last is not None
    seen: set[int] = set()
    while str(snapshot.snapshot_id) != last:
        if snapshot.parent_snapshot_id is None or snapshot.snapshot_id in seen:
            return True
        seen.add(snapshot.snapshot_id)
        parent = table.snapshot_by_id(snapshot.parent_snapshot_id)
        if parent is None:
            return False
        snapshot = parent
    return False


def _list_files(transaction: Transaction, edit: TableEdit, *, has_files: bool) -> int | None:
    """Change what is listed; gives the id of the snapshot that shows it, None where nothing changes."""
    snapshot_id = None
    if edit.is_emptied and has_files:
        emptying = transaction.update_snapshot().delete()
        emptying.delete_by_predicate(AlwaysTrue())
        emptying.commit()
        snapshot_id = emptying.snapshot_id
    if not (edit.added or edit.removed):
        return snapshot_id
    update = transaction.update_snapshot()
    producer = update.overwrite() if edit.removed else update.merge_append()
    for file in edit.removed:
        producer.delete_data_file(file)
    for file in edit.added:
        producer.append_data_file(file)
    producer.commit()
    return producer.snapshot_id


def _has_landed(table: IcebergTable, transaction: Transaction, lake: OpenLake) -> bool:
    """Whether a commit that is said to have failed was made all the same, its first answer lost on the way.

    What it wrote is removed where it was not, and kept where it was, or where nobody can say.
    """
    snapshots = {producer.snapshot_id for producer in transaction._snapshot_producers}  # noqa: SLF001 - no other way to know
    has_landed = True
    try:
        now = table.catalog.load_table(table.name())
        has_landed = bool(snapshots) and all(now.snapshot_by_id(snapshot) is not None for snapshot in snapshots)
    finally:
        lake.settle_unsure(are_useless=not has_landed)
    return has_landed
