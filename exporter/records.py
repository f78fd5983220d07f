"""The commit log's records: what one commit of one scope says, as JSON. Described in ``docs/commit-log.md``.

A record lies under ``_log/<account>-<region>/records/<number>.json``. Its number is the one behind the last, and it is
made once, by compare-and-set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from exporter import __version__
from exporter.errors import LakeError, LakeTooNew
from exporter.store import Staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The format's name and version. A reader refuses a newer major version, and passes over fields that it does not know.
FORMAT = "ivs-export commit log"
FORMAT_MAJOR, FORMAT_MINOR = 1, 0
_NAMES_SHOWN, _NAME_LENGTH_SHOWN = 10, 200
_NUMBERED = re.compile(r"[0-9]{12}\.json")
_log = structlog.get_logger()


class FileLine(msgspec.Struct, frozen=True):
    """A data file: where it appears, what is in it, and how its store finds it while it is staged."""

    table: str
    key: str
    date: str
    rows: int
    size_bytes: int
    sha256: str
    handle: tuple[str, ...]

    @property
    def staged(self) -> Staged:
        """The file as its store knows it."""
        return Staged(self.key, self.size_bytes, self.handle)


class UnitState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a participant of an open session.

    ``began_us`` is the service's time when its last complete fetch began, 0 where there was none; ``rows`` are in the
    lake. ``failures`` are the runs, one after another, in which it was refused, the first at ``failing_since_us``.
    """

    began_us: int = 0
    rows: int = 0
    failures: int = 0
    failing_since_us: int = 0
    is_abandoned: bool = False


class SessionLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a commit says of one session.

    ``status`` tells what it is from now on: ``open``; ``sealed``; or ``vanished``, known and no longer listed.
    ``units`` are those whose state is another one now. ``files`` are the places, among the record's files, of those
    that hold rows of the session. ``earlier_files`` are the keys of others that do: all of them where the
    session is sealed or opened again. One that is opened again is ``is_unsure``: they may hold rows of units that are
    not named.
    """

    stage_arn: str
    session_id: str
    status: Literal["open", "sealed", "vanished"]
    started_us: int | None = None
    ended_us: int | None = None
    units: dict[str, UnitState] = {}
    files: tuple[int, ...] = ()
    earlier_files: tuple[str, ...] = ()
    is_unsure: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One commit: the files, the units' new state and the run's counters, together.

    A ``begin`` opens a run's epoch, fences earlier writers off, and names no files; ``epoch`` is its number, in all of
    the run's records. ``at`` is the writer's local time, for people only; ``latest_us`` is the service's time, which
    never goes back. ``gone`` are keys of files of an earlier record that were neither staged nor visible any more.
    ``unlisted`` are sealed sessions, (stage, session), that their stage no longer lists.
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
    writer: str = f"ivs-export {__version__}"
    schema_versions: dict[str, int] = {}
    files: tuple[FileLine, ...] = ()
    sessions: tuple[SessionLine, ...] = ()
    gone: tuple[str, ...] = ()
    unlisted: tuple[tuple[str, str], ...] = ()
    complete_until_us: int | None = None
    summary: dict[str, Any] | None = None


class _Head(msgspec.Struct):
    format: str
    major: int


def encode_record(record: Record) -> bytes:
    """The record as it is stored."""
    return msgspec.json.encode(record)


def decode_record(key: str, body: bytes) -> Record:
    """The record that lies under ``key``.

    Raises :class:`LakeTooNew` for a newer major version, and :class:`LakeError` for what is no record.
    """
    check_head(key, body)
    try:
        return msgspec.json.decode(body, type=Record)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{key} is damaged: {error}") from error


def check_head(key: str, body: bytes) -> None:
    """Refuse what was not written by this format, or by a newer major version of it."""
    try:
        head = msgspec.json.decode(body, type=_Head)
    except msgspec.MsgspecError as error:
        raise LakeError(f"{key} is damaged: {error}") from error
    if head.format != FORMAT:
        raise LakeError(f"{key} is no record of a commit log, but {head.format[:80]!r}")
    if head.major > FORMAT_MAJOR:
        raise LakeTooNew(
            f"{key} is of version {head.major} of the commit log, and this ivs-export reads up to {FORMAT_MAJOR}: use a"
            " newer ivs-export"
        )


def records_prefix(scope: str) -> str:
    """Where a scope's records lie."""
    return f"_log/{scope}/records/"


def record_key(scope: str, number: int) -> str:
    """The key of a record. Numbers have twelve digits, so that keys sort as numbers do."""
    return f"{records_prefix(scope)}{number:012d}.json"


def numbered(prefix: str, keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """The keys of records, snapshots or leases right below ``prefix``, a folder's, and the names that are not ours.

    A folder is shared: a desktop leaves ``.DS_Store`` there, a sync tool its copies.
    """
    own: list[str] = []
    strange: list[str] = []
    for key in keys:
        name = key.removeprefix(prefix)
        if _NUMBERED.fullmatch(name):
            own.append(key)
        else:
            strange.append(name)
    return own, strange


def pass_over(prefix: str, names: Sequence[str]) -> None:
    """Say that a folder of the log holds files that are not the exporter's, and that they are left alone."""
    if names:
        shown = [name[:_NAME_LENGTH_SHOWN] for name in names[:_NAMES_SHOWN]]
        _log.warning("files_passed_over", folder=prefix, names=shown, count=len(names), reason="they are not ours")


def number_of(key: str) -> int:
    """The number in a record's, a snapshot's or a lease's key, whose form `numbered` has seen."""
    return int(key.rpartition("/")[2].removesuffix(".json"))
