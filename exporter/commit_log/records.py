"""The commit log's records: what one commit of one scope says, as JSON. Described in ``docs/commit-log.md``.

A record lies under ``_log/<account>-<region>/records/<number>.json``. Its number is the one after the last, and it is
made once, by compare-and-set. Each ends with a checksum of its own bytes, and carries the checksum of the record before
it, so that nothing can be altered or taken away without being missed.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from exporter import __version__
from exporter.errors import LakeTooNew, LogDamaged
from exporter.json_errors import UNREADABLE
from exporter.lake.data_files import DataFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.model import SessionKey


#: The format's name and version. A reader refuses a newer major version, and passes over fields that it does not know.
#: Records of major version 1 have no checksums, and call `lost` files ``gone``; those up to 2 know one table.
FORMAT = "ivs-export commit log"
FORMAT_MAJOR, FORMAT_MINOR = 3, 0
_FIRST_WITH_CHECKSUMS = 2
_CHECKSUM = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_CHECKSUM_SIZE_BYTES = len(b',"sha256":""}') + 64


#: What records name the list of a session's participants, where they name its units.
LISTING = ""


class RowWritten(IntEnum):
    """Which row ``participants`` has of a unit of an open session: none, one from before the end, the final one."""

    NONE = 0
    FIRST = 1
    FINAL = 2


class UnitState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a participant of an open session.

    ``began_us`` is the service's time when its last complete fetch began, of a session whose end was known; ``rows``
    are in the lake. ``failing_since_us`` is when the first of its failures came, one after another in each run, of
    whatever kind; ``refused_since_us``, when AWS itself first refused it for good after its session's end, with no
    success since. Only that counts for giving it up. ``rejects`` are its events without a time that are kept beside the
    tables. ``row`` says which row the table ``participants`` has of it, ``lacks_details`` that this row's details were
    denied or failed.
    """

    began_us: int | None = None
    rows: int = 0
    failing_since_us: int | None = None
    refused_since_us: int | None = None
    rejects: int = 0
    is_abandoned: bool = False
    row: RowWritten = RowWritten.NONE
    lacks_details: bool = False

    def named(self, *, has_rows: bool) -> UnitState:
        """What is left of it in a session that is sealed: its name, and whether it is abandoned or lacks details.

        ``has_rows`` says that all units of the session have their final rows; else it is kept which of them do.
        """
        if self.is_abandoned:
            return self
        is_kept = not has_rows and self.row is RowWritten.FINAL
        return UnitState(lacks_details=self.lacks_details, row=RowWritten.FINAL if is_kept else RowWritten.NONE)


class SessionEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a commit says of one session.

    ``status`` says what it is from now on: ``open``; ``sealed``; or ``vanished``, known and no longer listed. ``units``
    are those whose state is another one now; where the session is sealed, only their names are kept, and which of them
    are abandoned or lack details. ``files`` are the indexes, among the record's files, of those that hold rows of the
    session. ``earlier_files`` are the keys of others that do: all of them where the session is sealed or opened again.
    One that is opened again is ``is_unsure``: they may hold rows of units that are not named. ``latest_end_us`` is the
    latest end that was ever listed of it, where ``ended_us`` is not. ``has_rejects`` says that an event of it had no
    time, ever: the tables are not all that there was. ``retired`` are the folders from which files with rows of it were
    removed on purpose. ``tables`` are those beside ``events`` that have their rows of it, as far as it has come.
    ``lacks_details`` says of a sealed session that details of some of its participants were denied or failed.
    """

    stage_arn: str
    session_id: str
    status: Literal["open", "sealed", "vanished"]
    started_us: int | None = None
    ended_us: int | None = None
    latest_end_us: int | None = None
    units: dict[str, UnitState] = {}
    files: tuple[int, ...] = ()
    earlier_files: tuple[str, ...] = ()
    is_unsure: bool = False
    has_rejects: bool = False
    retired: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    lacks_details: bool = False

    @property
    def key(self) -> SessionKey:
        """What no other session has: ids are unique in their stage alone."""
        return (self.stage_arn, self.session_id)


class StageEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the table ``stages`` says of a stage from this commit on."""

    arn: str
    name: str | None = None
    tags: dict[str, str] | None = None
    is_listed: bool = True


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One commit: the files, the units' new state and the run's counters, together.

    A ``begin`` opens a run's epoch, fences earlier writers off, and names no files; ``epoch`` is its number, in all of
    the run's records. ``at`` is the writer's local time, for people only; ``latest_us`` is the service's time, which
    never goes back but where ``void_after_us`` says that times after that one were wrong. ``previous`` is the SHA-256
    of the stored bytes of the record before this one, in hexadecimal, and empty in the first record. ``unlisted`` are
    sealed sessions, (stage, session), that their stage no longer lists. ``stages`` are those with a new row.
    ``tag`` is what the run was named, in its first and its last record.

    Three lists of keys say which files of earlier records are no longer there: ``lost`` are neither staged nor visible
    any more; ``replaced`` have their rows in files of this record; ``retired`` were removed on purpose.
    ``rows_removed`` are the rows that those files had.
    """

    format: str = FORMAT
    major: int = FORMAT_MAJOR
    minor: int = FORMAT_MINOR
    kind: Literal["begin", "commit"]
    scope: str
    number: int
    epoch: int
    run_id: str
    at: str
    latest_us: int
    previous: str = ""
    void_after_us: int | None = None
    writer: str = f"ivs-export {__version__}"
    schema_versions: dict[str, int] = {}
    files: tuple[DataFile, ...] = ()
    sessions: tuple[SessionEntry, ...] = ()
    lost: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    rows_removed: int = 0
    unlisted: tuple[tuple[str, str], ...] = ()
    stages: tuple[StageEntry, ...] = ()
    complete_until_us: int | None = None
    summary: dict[str, Any] | None = None
    tag: str | None = None

    @property
    def removed(self) -> frozenset[str]:
        """The keys of all files that are no longer there."""
        return frozenset((*self.lost, *self.replaced, *self.retired))


class Link(msgspec.Struct, frozen=True):
    """What the next record must fit: the number, the checksum and the major version of the last one."""

    number: int = 0
    checksum: str = ""
    major: int = 1


class _Head(msgspec.Struct):
    format: str
    major: int


def encode_record(record: Record) -> bytes:
    """The record as it is stored."""
    return with_checksum(msgspec.json.encode(record))


def decode_record(key: str, body: bytes) -> Record:
    """The record that lies under ``key``.

    Raises :class:`LakeTooNew` for a newer major version, and :class:`LogDamaged` for what is no record.
    """
    major = check_head(key, body)
    if major >= _FIRST_WITH_CHECKSUMS:
        check_checksum(key, body)
    try:
        record = msgspec.json.decode(body, type=Record) if major >= _FIRST_WITH_CHECKSUMS else _decoded_old(body)
    except UNREADABLE as error:
        raise LogDamaged(f"{key} is damaged: {error}") from error
    if any(index not in range(len(record.files)) for entry in record.sessions for index in entry.files):
        raise LogDamaged(f"{key} is damaged: a session points at a file that it does not name")
    share_equal(entry.units for entry in record.sessions)
    return record


@lru_cache(maxsize=4_096)
def shared(state: UnitState) -> UnitState:
    """Return one object for equal states: a session that never ends has 100,000 units, most of them in a few states."""
    return state


def share_equal(units: Iterable[dict[str, UnitState]]) -> None:
    """Let equal states be one object in each of these."""
    for by_name in units:
        for name, state in by_name.items():
            by_name[name] = shared(state)


def linked(link: Link, key: str, body: bytes) -> tuple[Record, Link]:
    """The record after the one of ``link``, and its own link.

    Raises :class:`LakeTooNew` and :class:`LogDamaged` as `decode_record`, and the latter also for a record that does
    not fit: of another number, after another record, or of an older version than the one before it.
    """
    record = decode_record(key, body)
    if record.number != link.number + 1:
        raise LogDamaged(f"{key} is damaged: it holds record {record.number}")
    if record.major < link.major:
        raise LogDamaged(f"{key} is of version {record.major} of the commit log, after a record of {link.major}")
    if record.major >= _FIRST_WITH_CHECKSUMS and record.previous != link.checksum:
        raise LogDamaged(f"{key} does not follow record {link.number} as it is now: one of the two was altered")
    return record, link_of(record, body)


def link_of(record: Record, body: bytes) -> Link:
    """The link of a record that is stored as ``body``."""
    return Link(record.number, hashlib.sha256(body).hexdigest(), record.major)


def _decoded_old(body: bytes) -> Record:
    """A record of major version 1."""
    fields = msgspec.json.decode(body)
    return msgspec.convert({**fields, "lost": fields.get("gone", ())}, Record)


def check_head(key: str, body: bytes) -> int:
    """Give the major version that a record or a snapshot is of.

    Raises :class:`LogDamaged` for what was not written by this format, and :class:`LakeTooNew` for a newer version.
    """
    try:
        head = msgspec.json.decode(body, type=_Head)
    except UNREADABLE as error:
        raise LogDamaged(f"{key} is damaged: {error}") from error
    if head.format != FORMAT:
        raise LogDamaged(f"{key} is no record of a commit log, but {head.format[:80]!r}")
    if head.major < 1:
        raise LogDamaged(f"{key} is damaged: there is no version {head.major} of the commit log")
    if head.major > FORMAT_MAJOR:
        raise LakeTooNew(
            f"{key} is of version {head.major} of the commit log, and this ivs-export reads up to {FORMAT_MAJOR}: use a"
            " newer ivs-export"
        )
    return head.major


def with_checksum(body: bytes) -> bytes:
    """A JSON object with one member more, the last one: the SHA-256 of all bytes before that member."""
    return b'%b,"sha256":"%b"}' % (body[:-1], hashlib.sha256(body[:-1]).hexdigest().encode())


def check_checksum(key: str, body: bytes) -> None:
    """Raise :class:`LogDamaged` where ``body`` is not as `with_checksum` made it."""
    found = _CHECKSUM.fullmatch(body[-_CHECKSUM_SIZE_BYTES:])
    if found is None or found[1].decode() != hashlib.sha256(body[:-_CHECKSUM_SIZE_BYTES]).hexdigest():
        raise LogDamaged(f"{key} is damaged: it is not what its checksum says")
