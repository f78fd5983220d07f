"""What ``publish`` does with a lake and its catalog, and how it reports it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.catalog.wanted import check_catalog
from exporter.cli import exit_codes
from exporter.cli.own_session import own_session
from exporter.errors import UsageError
from exporter.lake.stores.open import open_store
from exporter.machine.clock import system_clock
from exporter.text import counted, plain

if TYPE_CHECKING:
    from exporter.catalog.outcome import CompactedTable, Publication, PublishedTable
    from exporter.cli.invocation import Invocation
    from exporter.settings import Settings

_MIB = 1 << 20
_CODES = {"complete": exit_codes.OK, "partial": exit_codes.PARTIAL, "failed": exit_codes.FAILED}


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What ``publish`` is to do beside bringing the catalog up to the log, or instead."""

    is_rebuild: bool
    is_compact: bool
    is_drop: bool


def publish_lake(invocation: Invocation, settings: Settings, asked: PublishRequest) -> int:
    """Carry out ``ivs-export publish``.

    Raises :class:`UsageError`, :class:`CatalogError`, :class:`LakeError` and :class:`CredentialsLost`.
    """
    if asked.is_drop and (asked.is_rebuild or asked.is_compact):
        other = "--rebuild" if asked.is_rebuild else "--compact"
        raise UsageError(f"{other} and --drop are two things: take one of them")
    if not settings.catalog.kind:
        raise UsageError("no catalog is named: use --catalog, IVS_EXPORT_CATALOG__KIND or the file")
    check_catalog(settings)
    if asked.is_drop:
        return _drop(invocation, settings)
    publication = asyncio.run(_published(settings, asked))
    invocation.print_object({"lake": settings.lake, **_object_of(publication)})
    lines = [_line_of(table) for table in publication.tables]
    lines += [_compacted_line_of(table) for table in publication.compacted or ()]
    lines += [f"{failure.unit}: {failure.error.kind}: {failure.error}" for failure in publication.failures]
    invocation.say("\n".join(map(plain, [*lines, _end(publication)])))
    return code_of(publication)


def code_of(publication: Publication) -> int:
    """The exit code of a publication."""
    return _CODES[publication.outcome]


def _drop(invocation: Invocation, settings: Settings) -> int:
    dropped = asyncio.run(_dropped(settings))
    invocation.print_object(
        {"lake": settings.lake, "outcome": "complete" if dropped else "nothing", "dropped": dropped}
    )
    lines = [f"{name}: no longer in the catalog; its files stay" for name in dropped]
    invocation.say("\n".join(map(plain, lines or ["there was nothing of this lake in the catalog"])))
    return exit_codes.OK


async def _published(settings: Settings, asked: PublishRequest) -> Publication:
    from exporter.catalog.keeping import keep_catalog  # noqa: PLC0415 - brings PyIceberg, which is slow to import

    async with open_store(settings.lake, own_session, settings.s3) as store:
        return await keep_catalog(
            settings, store, own_session, system_clock(), is_rebuild=asked.is_rebuild, is_compact=asked.is_compact
        )


async def _dropped(settings: Settings) -> list[str]:
    from exporter.catalog.keeping import drop_catalog  # noqa: PLC0415 - the same

    async with open_store(settings.lake, own_session, settings.s3) as store:
        return await drop_catalog(settings, store, own_session, system_clock())


def _object_of(publication: Publication) -> dict[str, Any]:
    return {
        "outcome": publication.outcome,
        "catalog": publication.summary(),
        "tables": [
            {
                "table": table.table,
                "files_added": table.added,
                "files_removed": table.removed,
                "rows_added": table.rows_added,
                "behind": table.behind,
            }
            for table in publication.tables
        ],
        "compacted": None if publication.compacted is None else list(map(_compacted_object_of, publication.compacted)),
        "failures": [
            {"error": failure.error.kind, "message": str(failure.error), "unit": failure.unit}
            for failure in publication.failures
        ],
    }


def _line_of(table: PublishedTable) -> str:
    behind = "" if not table.behind else f"; {counted(table.behind, 'file')} to come or to go"
    return f"{table.table}: {counted(table.added, 'file')} added, {table.removed:,} removed{behind}"


def _compacted_object_of(table: CompactedTable) -> dict[str, Any]:
    return {
        "table": table.table,
        "files_merged": table.merged,
        "files_made": table.made,
        "bytes_made": table.size_bytes,
        "snapshots": table.snapshots,
        "abandoned_removed": table.abandoned,
    }


def _compacted_line_of(table: CompactedTable) -> str:
    """What became of a table's small files, and what that costs: the lake's own files stay."""
    if not table.made:
        return f"{table.table}: no small files to merge"
    return (
        f"{table.table}: {counted(table.merged, 'file')} merged into {table.made:,};"
        f" the lake keeps its own, so this takes {table.size_bytes / _MIB:,.1f} MiB more"
    )


def _end(publication: Publication) -> str:
    if publication.failures:
        return f"{counted(len(publication.failures), 'failure')}: the next run or publish goes on"
    return "the catalog has all of the lake" if not publication.behind else "the rest is still being written"
