"""A list of what to export: what it names, whatever form it has.

A table (CSV with commas, semicolons or tabs; Parquet) with the columns stage_arn, session_id and participant_id, JSON,
what AWS's command prints of its lists, or the bare ARNs of stages; each but Parquet in UTF-8 or UTF-16, and packed with
gzip or not. The content says which form it is, not the name. A row without the later columns (missing, empty or null)
stands for all below it, and a broader row swallows the narrower. Columns that are clearly others are passed over, so
that most queries' results will do; those that may hold the ids of a column that is missing are refused.
"""

from __future__ import annotations

import os.path
import sys
from contextlib import contextmanager
from itertools import chain
from typing import IO, TYPE_CHECKING
from unicodedata import category

from exporter.discovery.target_formats.columns import shown
from exporter.discovery.target_formats.json import json_rows
from exporter.discovery.target_formats.parquet import parquet_rows
from exporter.discovery.target_formats.tables import DELIMITERS, DELIMITERS_TOLD, table_rows
from exporter.discovery.target_formats.text import PARQUET_MAGIC, InputPosition, lines_of, pieces_of, seekable, texts_of
from exporter.errors import UsageError
from exporter.model import ID_LENGTH_MAX, Scope, is_participant_id, is_region, is_session_id, scope_of
from exporter.text import counted, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exporter.discovery.target_formats.columns import Row

    #: Opens a list that stands at an address, such as ``s3://bucket/key``. Raises ExportError.
    OpenRemote = Callable[[str], IO[bytes]]

# Blanks of all kinds, letters without width, and control characters.
_BLANK_CATEGORIES = ("Zs", "Zl", "Zp", "Cf", "Cc")
_BLANK_PIECES_MAX = 16
# What databases, data frames and scripts write for nothing. As an id it would be asked for in vain, each night anew.
_WORDS_FOR_NOTHING = frozenset({"null", "none", "nan", "<na>", "n/a", "nil", "undefined", "\\n", "(null)"})
_REMOTE = "s3://"
_ROWS_MAX = 50_000_000
# What a list takes in memory: its ids, and what Python takes for a session.
_HELD_BYTES_MAX = 512 << 20
_SESSION_BYTES = 300
_COMPACTED_BYTES = 1 << 16


class Targets:
    """What a list names: stages, sessions and participants, each once and sorted.

    Held compactly, for a list may have millions of rows: the participants of a session are one text, their ids joined
    by spaces, and an empty text stands for all of them.
    """

    def __init__(self, stages: dict[str, dict[str, str]], notes: tuple[str, ...] = ()) -> None:
        """``stages``: by ARN, the joined participants of each session; no session means all.

        ``notes`` are what the user should know of the list, a line each.
        """
        self._stages = stages
        self.notes = notes

    def scopes(self) -> list[Scope]:
        """The accounts and regions of the stages."""
        return sorted({scope for arn in self._stages if (scope := scope_of(arn))})

    def stages(self, scope: Scope) -> list[str]:
        """The ARNs of the stages in a scope."""
        return sorted(arn for arn in self._stages if scope_of(arn) == scope)

    def sessions(self, stage_arn: str) -> list[str] | None:
        """The ids of a stage's sessions; None stands for all of them."""
        return sorted(self._stages[stage_arn]) or None

    def participants(self, stage_arn: str, session_id: str) -> list[str] | None:
        """The ids of a session's participants; None stands for all of them."""
        sessions = self._stages[stage_arn]
        if joined := sessions.get(session_id):
            return joined.split(" ")
        return [] if sessions and session_id not in sessions else None

    @property
    def count(self) -> int:
        """How many stages, sessions and participants are named that nothing broader swallowed."""
        by_stage = (
            sum(joined.count(" ") + 1 for joined in sessions.values()) or 1 for sessions in self._stages.values()
        )
        return sum(by_stage)


def read(path: str, stage_arn: str | None = None, open_remote: OpenRemote | None = None) -> Targets:
    """The list in a file, on standard input for ``-``, or at ``s3://bucket/key``, which ``open_remote`` opens.

    ``stage_arn`` is the stage of a list that names none, such as AWS's own of sessions. Raises :class:`UsageError`,
    which names the file, the line and what was found there.
    """
    position = InputPosition("standard input" if path == "-" else path if path.isprintable() else shown(path))
    try:
        with _opened(path, open_remote) as file:
            return _gather(position, file, stage_arn)
    except (OSError, ValueError) as error:
        raise UsageError(f"the list of targets {shown(path)} can't be read: {reason_of(error)}") from None


@contextmanager
def _opened(path: str, open_remote: OpenRemote | None) -> Iterator[IO[bytes]]:
    if path == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed")
        yield sys.stdin.buffer
    elif path.startswith(_REMOTE) and open_remote is not None:
        with open_remote(path) as file:
            yield file
    else:
        # Not by pathlib: a text that is no path, such as one with a NUL, fails here alike, and ~ is no error there.
        with open(os.path.expanduser(path), "rb") as file:  # noqa: PTH111, PTH123
            yield file


def _gather(position: InputPosition, file: IO[bytes], stage_arn: str | None) -> Targets:
    """Check every row and add it."""
    notes: list[str] = []
    gathering = _TargetGathering()
    for count, row in enumerate(_rows(position, file, stage_arn, notes), 1):
        if (flaw := gathering.put(row)) is not None:
            raise position.refusal(flaw)
        if count > _ROWS_MAX or gathering.held_bytes > _HELD_BYTES_MAX:
            raise position.refusal(
                f"the list is too long, with {counted(count, 'row')} up to here: cut it into several"
            )
    position.line = position.item = 0
    targets = gathering.targets(tuple(dict.fromkeys(notes)))
    if not targets.count:
        raise UsageError(f"{position.name} names no targets")
    return targets


def _rows(position: InputPosition, file: IO[bytes], stage_arn: str | None, notes: list[str]) -> Iterator[Row]:
    """The rows of whichever form the content has."""
    pieces = pieces_of(position, file)
    first = next(pieces, b"")
    pieces = chain([first], pieces)
    if first.startswith(PARQUET_MAGIC):
        return _parquet_rows(position, file, pieces, stage_arn)
    texts = texts_of(position, pieces)
    begun: list[str] = []
    for text in texts:
        begun.append(text)
        if text.strip() or len(begun) > _BLANK_PIECES_MAX:
            break
    texts = chain(begun, texts)
    if "".join(begun).lstrip()[:1] in ("{", "["):
        return json_rows(position, texts, stage_arn, notes)
    return table_rows(position, lines_of(position, texts), stage_arn)


def _parquet_rows(
    position: InputPosition, file: IO[bytes], pieces: Iterable[bytes], stage_arn: str | None
) -> Iterator[Row]:
    """The rows of Parquet: from the file itself where it can be read anywhere, else from a copy."""
    if file.seekable():
        here = file.tell()
        file.seek(0)
        is_plain = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        file.seek(here)
        if is_plain:
            yield from parquet_rows(position, file, stage_arn)
            return
    with seekable(position, pieces) as copy:
        yield from parquet_rows(position, copy, stage_arn)


class _TargetGathering:
    """The rows of a list as they come, each name once. ``held_bytes`` is what they take, roughly."""

    def __init__(self) -> None:
        # A stage of None stands for all its sessions, a session's empty bytes for all its participants.
        self._stages: dict[str, dict[str, bytearray] | None] = {}
        self._compact_at: dict[tuple[str, str], int] = {}
        self.held_bytes = 0

    def put(self, row: Row) -> str | None:
        """Add a row; what is wrong with it, else None. A name that stands here was checked when it came."""
        stage_arn, session_id, participant_id = row
        if stage_arn not in self._stages and (flaw := _flaw_of_stage(stage_arn)):
            return flaw
        sessions = self._stages.get(stage_arn) or {}
        if session_id not in sessions and (flaw := _flaw_of_session(session_id, participant_id)):
            return flaw
        if participant_id and (_is_word_for_nothing(participant_id) or not is_participant_id(participant_id)):
            return _flaw_of_id("participant_id", participant_id)
        if not session_id:
            self._put_stage(stage_arn)
        elif self._stages.get(stage_arn, sessions) is not None:
            self._put_session(stage_arn, session_id, participant_id)
        return None

    def targets(self, notes: tuple[str, ...]) -> Targets:
        """What was gathered, sorted, each name once."""
        stages = {}
        for stage_arn in sorted(self._stages):
            sessions = self._stages[stage_arn] or {}
            stages[stage_arn] = {session_id: _sorted(sessions.pop(session_id)) for session_id in sorted(sessions)}
        return Targets(stages, notes)

    def _put_stage(self, stage_arn: str) -> None:
        sessions = self._stages.get(stage_arn) or {}
        self.held_bytes -= sum(_SESSION_BYTES + len(joined) for joined in sessions.values())
        self.held_bytes += _SESSION_BYTES * (stage_arn not in self._stages)
        self._stages[stage_arn] = None

    def _put_session(self, stage_arn: str, session_id: str, participant_id: str) -> None:
        sessions = self._stages.setdefault(stage_arn, {})
        assert sessions is not None, "the caller has looked"  # noqa: S101 - for the type checker
        joined = sessions.get(session_id)
        before = len(joined or b"")
        if joined is None:
            self.held_bytes += _SESSION_BYTES
            joined = sessions[session_id] = bytearray(participant_id.encode())
        elif not participant_id:
            joined = sessions[session_id] = bytearray()
        elif joined:
            joined += b" " + participant_id.encode()
            if len(joined) > self._compact_at.get((stage_arn, session_id), _COMPACTED_BYTES):
                joined[:] = b" ".join(set(bytes(joined).split(b" ")))
                self._compact_at[stage_arn, session_id] = max(2 * len(joined), _COMPACTED_BYTES)
        self.held_bytes += len(joined) - before


def _sorted(joined: bytearray) -> str:
    """The participants of a session sorted, each once."""
    return " ".join(sorted(set(joined.decode().split(" "))))


def _flaw_of_stage(stage_arn: str) -> str | None:
    if not stage_arn:
        return "stage_arn is missing"
    scope = scope_of(stage_arn)
    if scope is None:
        return f"stage_arn {shown(stage_arn)} is no ARN of a stage{_flaw_of_delimiter(stage_arn)}"
    if not is_region(scope.region):
        return f"stage_arn {shown(stage_arn)} is in no region of AWS's"
    return None


def _flaw_of_delimiter(text: str) -> str:
    """What stands between an ARN and the rest of a text, where something does."""
    for delimiter, name in DELIMITERS.items():
        first, found, _ = text.partition(delimiter)
        if found and scope_of(first.strip(" \"'")) is not None:
            return f": {name} follow one, and not what stands between the names of the columns; {DELIMITERS_TOLD}"
    return ""


def _flaw_of_session(session_id: str, participant_id: str) -> str | None:
    if not session_id:
        return f"participant_id {shown(participant_id)} stands without a session_id" if participant_id else None
    if "/" in session_id and not _is_word_for_nothing(session_id):
        return f"session_id {shown(session_id)} holds a slash"
    is_one = is_session_id(session_id) and not _is_word_for_nothing(session_id)
    return None if is_one else _flaw_of_id("session_id", session_id)


def _flaw_of_id(column: str, text: str) -> str:
    if _is_word_for_nothing(text):
        return f"{column} is {shown(text)}, a word for nothing: leave it empty where all are meant"
    if len(text) > ID_LENGTH_MAX:
        return f"{column} {shown(text)} has {len(text):,} characters, more than {ID_LENGTH_MAX}"
    if all(category(letter) in _BLANK_CATEGORIES for letter in text):
        return f"{column} {shown(text)} holds nothing that can be seen: leave it empty where all are meant"
    return f"{column} {shown(text)} holds a blank, or what can't be seen"


def _is_word_for_nothing(text: str) -> bool:
    return text.lower() in _WORDS_FOR_NOTHING
