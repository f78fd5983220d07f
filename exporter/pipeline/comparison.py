"""Which events of fetched units are written, by what the lake holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from exporter.compute import compute
from exporter.errors import FileDamaged, TemporaryFolderRefused
from exporter.lake.arrow import pc
from exporter.lake.tables.events import EVENTS
from exporter.normalize.equals import repeated
from exporter.normalize.numbering import NO_IDS, Extra, Numbered, Numbering, nothing, plain
from exporter.pipeline.known_events import AskedRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from exporter.commit_log.sealing import SessionProgress
    from exporter.model import FetchedUnit, Unit
    from exporter.normalize.events import EventRows, Unreadable
    from exporter.normalize.hidden_identities import HiddenIdentities
    from exporter.pipeline.known_events import KnownEvents, LookupFailure

LOOKUP_FAILURES = (TemporaryFolderRefused, FileDamaged)


class Comparison(NamedTuple):
    """A unit's events, and what the lake holds of it.

    ``rows`` are those of the unit in its batch, and ``hashes`` its events' identities; ``has_equals`` says that two of
    these may be the same. ``lake_ids`` are the ids of its rows in the lake. With an ``error`` nothing of the unit is
    written.
    """

    progress: SessionProgress
    fetched: FetchedUnit
    rows: range
    hashes: pa.Int64Array
    has_equals: bool
    lake_ids: pa.Int64Array
    error: Unreadable | LookupFailure | None = None

    @property
    def unit(self) -> Unit:
        """Which unit it is."""
        return self.fetched.unit

    @property
    def is_plain(self) -> bool:
        """Whether every event is written, under its hash."""
        return not (self.has_equals or len(self.lake_ids) or self.error)


class EventReader(Protocol):
    """Reads more of the events that are compared, where their hashes do not suffice."""

    async def extras(self, comparison: Comparison, indexes: list[int]) -> Mapping[int, Extra]:
        """What is written in ``extra`` of some of a unit's events, by their index among the unit's."""

    async def identities(self, comparison: Comparison) -> HiddenIdentities | None:
        """The identities of a unit's events by what their rows show; None where nothing is hidden in rows."""


def comparisons_of(
    batch: Sequence[tuple[SessionProgress, FetchedUnit]],
    normal: EventRows,
    lake_ids: Mapping[Unit, pa.Int64Array | LookupFailure],
) -> list[Comparison]:
    """The units of a batch, each with its part of the rows."""
    hashes = normal.rows.column("event_id")
    several = repeated(hashes)
    is_repeated = pc.is_in(hashes, value_set=several) if len(several) else None
    rows_of = dict(normal.slices)
    comparisons = []
    for progress, fetched in batch:
        rows, ids = rows_of[fetched.unit], lake_ids[fetched.unit]
        failure = ids if isinstance(ids, LOOKUP_FAILURES) else None
        comparisons.append(
            Comparison(
                progress,
                fetched,
                rows,
                hashes.slice(rows.start, len(rows)),
                is_repeated is not None and is_repeated.slice(rows.start, len(rows)).true_count > 0,
                NO_IDS if isinstance(ids, LOOKUP_FAILURES) else ids,
                normal.unreadable.get(fetched.unit) or failure,
            )
        )
    return comparisons


async def compare(
    comparisons: Iterable[Comparison], known: KnownEvents, reader: EventReader
) -> dict[Unit, Numbered | FileDamaged]:
    """Say for each unit which of its events are written, or which file with rows of it is damaged.

    Raises what ``reader`` raises, and :class:`LakeError` where the lake can't be read.
    """
    numbered: dict[Unit, Numbered | FileDamaged] = {}
    to_compare: dict[Unit, Comparison] = {}
    for comparison in comparisons:
        # 1. The unit has failed: none of its events.
        if comparison.error:
            numbered[comparison.unit] = nothing(comparison.hashes)
        # 2. No two are equal, and the lake holds none of them: all.
        elif comparison.is_plain:
            numbered[comparison.unit] = plain(comparison.hashes)
        # 3. It is to be seen which of them the lake lacks.
        else:
            to_compare[comparison.unit] = comparison
    if to_compare:
        numbered |= await _compared(to_compare, known, reader)
    return numbered


async def _compared(
    comparisons: Mapping[Unit, Comparison], known: KnownEvents, reader: EventReader
) -> dict[Unit, Numbered | FileDamaged]:
    """Number units of which the lake may hold events: by ids, then by rows where ids don't suffice."""
    numberings = await compute(_numberings, comparisons)
    asked = {
        unit: AskedRows(numbering.asked, comparisons[unit].progress.known.files_of(EVENTS.name))
        for unit, numbering in numberings.items()
    }
    identities = {unit: await reader.identities(comparisons[unit]) for unit in asked if len(asked[unit].ids)}
    compared: dict[Unit, Numbered | FileDamaged] = {}
    async for unit, rows in known.rows(asked):
        hidden = identities[unit]
        if isinstance(rows, FileDamaged):
            compared[unit] = rows
        else:
            numberings[unit].learn(rows if hidden is None else map(hidden.known, rows))
    for unit, numbering in numberings.items():
        if unit not in compared:
            undecided = numbering.undecided()
            compared[unit] = numbering.settle(await reader.extras(comparisons[unit], undecided) if undecided else {})
    return compared


def _numberings(comparisons: Mapping[Unit, Comparison]) -> dict[Unit, Numbering]:
    return {
        unit: Numbering(comparison.hashes, comparison.lake_ids, has_equals=comparison.has_equals)
        for unit, comparison in comparisons.items()
    }
