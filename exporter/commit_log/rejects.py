"""Rejects: events without a time that can be read, and so without a date. Their unit is exported without them.

Each reject is kept as it came, but for what is hidden of users, once, in a file of JSON Lines under ``_rejects/`` that
a record names like any other. Its unit is fetched again by each run, so what is kept already is known by a hash of the
text that came.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from exporter.compute import compute
from exporter.json_errors import UNREADABLE
from exporter.lake.arrow import pc
from exporter.lake.tables import REJECTS
from exporter.model import Unit
from exporter.normalize.decode import canonical, decode, raw_events
from exporter.timestamps import read_us, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from exporter.commit_log.state import SessionState
    from exporter.lake.store import Files
    from exporter.model import FetchedUnit, RawPages
    from exporter.normalize.columns import Stamp
    from exporter.normalize.privacy import Privacy

REASON = "the event has no eventTime that can be read"

_SIGN = 1 << 63
_REJECT_ID = re.compile("[0-9a-f]{16}")


class RejectLine(msgspec.Struct):
    """What a line says beside the ``event`` itself; its members come in this order."""

    stage_arn: str
    session_id: str
    participant_id: str
    reject_id: str
    reason: str = ""
    run_id: str = ""
    exported_at: str = ""


decode_line = msgspec.json.Decoder(RejectLine).decode
_encode = msgspec.json.Encoder().encode


class DatedPages:
    """A unit's pages without its rejects; each is made when it is read."""

    def __init__(self, unit: Unit, pages: RawPages) -> None:
        self._unit = unit
        self._pages = pages

    def __iter__(self) -> Iterator[bytes]:
        for page in self._pages:
            yield parted(self._unit, page)[0]

    def __len__(self) -> int:
        return len(self._pages)


def parted(unit: Unit, page: bytes) -> tuple[bytes, list[bytes]]:
    """The page without its rejects, and these, each the JSON text that came.

    Raises :class:`EventUnreadable` where the page is no JSON array of objects.
    """
    is_dated = [read_us(event.event_time or "") is not None for event in decode(unit, (page,)).events]
    if all(is_dated):
        return page, []
    kept: list[bytes] = []
    rejects: list[bytes] = []
    for event, is_kept in zip(raw_events(page), is_dated, strict=True):
        (kept if is_kept else rejects).append(event)
    return b"[" + b",".join(kept) + b"]", rejects


@dataclass(frozen=True, slots=True)
class Parted:
    """A unit with rejects: ``fetched`` without them, their count, and which of them are not kept yet."""

    fetched: FetchedUnit
    whole: FetchedUnit
    count: int
    lacking: pa.BooleanArray

    @property
    def new_count(self) -> int:
        """How many rejects the lake does not hold yet."""
        return pc.sum(self.lacking).as_py() or 0

    async def lines(self, stamp: Stamp, privacy: Privacy) -> AsyncIterator[bytes]:
        """A line of JSON for each reject that the lake lacks, with no more of users than may be written."""
        start = 0
        for page in self.whole.pages:
            _, rejects = await compute(parted, self.whole.unit, page)
            for index, reject in enumerate(rejects, start):
                if self.lacking[index].as_py():
                    yield line_of(self.whole.unit, reject, stamp, privacy)
            start += len(rejects)


async def part(files: Files, known: SessionState, fetched: FetchedUnit) -> Parted:
    """Part a unit's events into those that have a time and the others, and see which of these the lake lacks.

    ``known`` is its session as the log has it.

    Raises :class:`EventUnreadable` and :class:`TemporaryFolderRefused` where its pages can't be read, and
    :class:`LakeError` where the lake can't.
    """
    ids = [await compute(_ids_on, fetched.unit, page) for page in fetched.pages]
    found = pa.concat_arrays([pa.array([], pa.int64()), *ids])
    kept: list[pa.Int64Array] = []
    for key in known.files_of(REJECTS) if known.may_have_rejects_of(fetched.unit.participant_id) else ():
        body = await files.read(key)  # of one that is gone, the rejects are lacking now
        kept.append(await compute(_ids_in, body or b"", fetched.unit))
    lacking = await compute(_lacking, found, pa.concat_arrays([pa.array([], pa.int64()), *kept]))
    dated = replace(fetched, pages=DatedPages(fetched.unit, fetched.pages))
    return Parted(dated, fetched, len(found), lacking)


def line_of(unit: Unit, reject: bytes, stamp: Stamp, privacy: Privacy) -> bytes:
    """A reject's line. Its own text stands in it as it is written; its id is of the text that came.

    A byte that is no UTF-8 is escaped as a lone surrogate.
    """
    head = RejectLine(
        unit.stage_arn,
        unit.session_id,
        unit.participant_id,
        f"{_id_of(reject) % (2 * _SIGN):016x}",
        REASON,
        stamp.run_id,
        text_of(stamp.exported_at_us),
    )
    text = privacy.reject_of(reject).decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
    # Outside of strings a line break is a space, and inside there is none.
    event = text.replace(b"\n", b" ").replace(b"\r", b" ")
    return _encode(head)[:-1] + b',"event":' + event + b"}\n"


def _ids_on(unit: Unit, page: bytes) -> pa.Int64Array:
    return pa.array([_id_of(reject) for reject in parted(unit, page)[1]], pa.int64())


def _id_of(reject: bytes) -> int:
    """The hash of a reject, however its members are ordered and spaced."""
    try:
        text = canonical(reject)
    except RecursionError:  # nested almost too deep to be read at all
        text = reject
    digest = xxh3_64_intdigest(text)
    return digest - 2 * _SIGN if digest >= _SIGN else digest


def _ids_in(body: bytes, unit: Unit) -> pa.Int64Array:
    """The hashes of a unit's rejects in a file; a line that can't be read is none of them."""
    return pa.array([int(line.reject_id, 16) for line in _lines_of(body, unit)], pa.uint64()).view(pa.int64())


def _lines_of(body: bytes, unit: Unit) -> Iterable[RejectLine]:
    for text in body.splitlines():
        head = text.partition(b',"reason":')[0] + b"}"
        try:
            line = decode_line(head)
        except UNREADABLE:
            continue
        is_of_unit = Unit(line.stage_arn, line.session_id, line.participant_id) == unit
        if is_of_unit and _REJECT_ID.fullmatch(line.reject_id):
            yield line


def _lacking(found: pa.Int64Array, kept: pa.Int64Array) -> pa.BooleanArray:
    """Which of the rejects found are to be kept: of k equal ones where the lake holds j, the last k - j."""
    if not len(kept):
        return pa.repeat(pa.scalar(value=True), len(found))
    left = Counter(kept.filter(pc.is_in(kept, value_set=found)).to_pylist())
    mask = []
    for reject_id in found.to_pylist():
        is_kept = left[reject_id] > 0
        left[reject_id] -= is_kept
        mask.append(not is_kept)
    return pa.array(mask, pa.bool_())
