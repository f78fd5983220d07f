"""The domain's nouns as types: scope, session, unit, and what passes from step to step; and a lake's address."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Where IVS Real-Time was served in 2026: a help against slips of the pen, for the list grows.
#: Source: Amazon IVS Real-Time User Guide.
REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-west-2",
)

# An account has twelve digits; the rest is looser than botocore's model `ivs-realtime` 2020-07-14, for models age.
_STAGE_ARN = re.compile(
    r"arn:aws[a-z-]*:ivs:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12}):stage/[a-zA-Z0-9_-]+", re.ASCII
)
_STAGE_ARN_LENGTH_MAX = 128
_ACCOUNT_ID_DIGITS = 12
#: Characters of a session's or participant's id in a list; AWS's own are shorter.
ID_LENGTH_MAX = 128
# Source: AWS General Reference, "Regions": eu-west-1, us-gov-west-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{1,16}){1,3}-[0-9]{1,2}", re.ASCII)


#: (stage ARN, session id)
SessionKey = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One AWS account in one region: what the API's quota, a lease and a commit log belong to."""

    account_id: str
    region: str

    def __str__(self) -> str:
        """The name that files, folders and log lines carry: ``<account>-<region>``."""
        return f"{self.account_id}-{self.region}"


@dataclass(frozen=True, slots=True)
class Session:
    """A stage session, with its times in microseconds since the epoch, UTC.

    ``ended_us`` is None while the session is active. ``extra`` are the members of its listing that have no column, as
    the text of a JSON object. Both times are None where only a list of targets named the session
    and it was in no listing of its stage (``is_listed`` is False then).
    """

    stage_arn: str
    session_id: str
    started_us: int | None = None
    ended_us: int | None = None
    is_listed: bool = True
    extra: str | None = None

    @property
    def key(self) -> SessionKey:
        """What no other session has: ids are unique in their stage alone."""
        return (self.stage_arn, self.session_id)

    @property
    def name(self) -> str:
        """What failures and logs call the session."""
        return f"{self.stage_arn}/{self.session_id}"


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One participant of one session of one stage: the smallest thing that is exported whole."""

    stage_arn: str
    session_id: str
    participant_id: str

    @property
    def name(self) -> str:
        """What failures and logs call the unit."""
        return f"{self.stage_arn}/{self.session_id}/{self.participant_id}"


class Outcome(StrEnum):
    """What became of a unit.

    ``DEFERRED``: the run stopped, throttling never ended, or the operation was denied, before its turn. ``ABANDONED``:
    refused for ``give_up_days``.
    """

    EXPORTED = "exported"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    DEFERRED = "deferred"
    ABANDONED = "abandoned"


class ScopeEnd(Enum):
    """How a scope ended as a whole before its work was done."""

    HELD = auto()  # another run holds it
    DAMAGED = auto()  # nothing can be built on its commit log
    MISUSED = auto()  # the usage is wrong: to run again is no use
    LOST = auto()  # for any other error, its own or the run's


class RawPages(Protocol):
    """Pages that can be read any number of times, in memory or not."""

    def __iter__(self) -> Iterator[bytes]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class FetchedUnit:
    """Every page of one unit's events, each the raw bytes of a JSON array, in the order of the answer.

    ``began_us`` is the service's time of the first page's answer, ``size_bytes`` the size of the pages together.
    """

    unit: Unit
    session: Session
    pages: RawPages
    began_us: int
    size_bytes: int = 0


def scope_of(stage_arn: str) -> Scope | None:
    """Read the scope in a stage's ARN; None where the text is not such an ARN."""
    match = _STAGE_ARN.fullmatch(stage_arn)
    if match is None or len(stage_arn) > _STAGE_ARN_LENGTH_MAX:
        return None
    return Scope(match["account_id"], match["region"])


def is_account_id(text: str) -> bool:
    """Whether a text is the id of an AWS account: twelve digits."""
    return len(text) == _ACCOUNT_ID_DIGITS and text.isascii() and text.isdecimal()


def is_region(text: str) -> bool:
    """Whether a text looks like the name of an AWS region."""
    return _REGION.fullmatch(text) is not None


def nearest_region(text: str) -> str | None:
    """Find the one of :data:`REGIONS` that a text is a slip of; None where it is of none."""
    return next(iter(get_close_matches(text.lower(), REGIONS, n=1)), None)


def is_session_id(text: str) -> bool:
    """Whether a text may be a session's id: as a participant's, and with no slash, which ends it in a unit's name."""
    return is_participant_id(text) and "/" not in text


def is_participant_id(text: str) -> bool:
    """Whether a text may be a participant's id: up to 128 characters that can be seen, and no blanks.

    Nothing else is judged: what AWS makes ids of has changed before, and a participant's may be its customer's own.
    """
    return 0 < len(text) <= ID_LENGTH_MAX and text.isprintable() and " " not in text


_S3 = "s3://"
#: What begins an address of another kind, also without `//`. `s3` is among them: `s3:bucket`.
_SCHEMES = frozenset(
    {
        *(
            "s3",
            "s3a",
            "s3n",
            "arn",
            "gs",
            "gcs",
            "az",
            "abfs",
            "abfss",
            "adl",
            "wasb",
            "wasbs",
            "hdfs",
            "dbfs",
            "oss",
            "cos",
        ),
        *("file", "http", "https", "ftp", "sftp", "ssh", "scp", "nfs", "smb"),
    }
)
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>.*)", re.ASCII | re.IGNORECASE)
_S3_MISSPELT = re.compile(r"s3[an]?:?[/\\]{2,}|s3[an]?:[/\\]?", re.IGNORECASE)
_HOST_AND_PATH = re.compile(r"(?:[^/:@]+(?::[^/@]*)?@)?[^/:]*:(?:[/\\].*)?", re.ASCII)
_PLACEHOLDER = re.compile(r"\$[A-Za-z_{(]|%[A-Za-z_][A-Za-z0-9_]*%|%\([A-Za-z_]|\{\{|^<|^\$")
_QUOTES = "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e"
# Source: Amazon S3 User Guide, "Bucket naming rules"; buckets from before 2018 may have capitals and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_WANTED = "should be a directory or s3://bucket/prefix"


def checked_address(text: str) -> str:
    """Return the address, with ``~`` expanded. Raises ValueError, which says what is wrong and what may be meant."""
    if not text.strip() or not text.isprintable():
        raise ValueError("should be text, with no control characters in it")
    if text != text.strip():
        raise ValueError("should not begin or end with a blank")
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        raise ValueError(f"has quotes in it, which a shell would have taken away: {_WANTED}, without quotes")
    if match := _PLACEHOLDER.search(text):
        raise ValueError(f"holds {match[0]}…, which nothing has put a value in place of: {_WANTED}, written out")
    if text.startswith(_S3):
        _check_bucket(text.removeprefix(_S3))
        return text
    if text.startswith("~"):
        return _expanded(text)
    _check_path(text)
    return text


def _check_bucket(rest: str) -> None:
    bucket = rest.partition("/")[0]
    if not bucket or "@" in bucket or ":" in bucket:
        raise ValueError("should name a bucket alone between s3:// and the prefix")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("should name a bucket of letters, digits, hyphens and dots between s3:// and the prefix")


def _expanded(text: str) -> str:
    path = os.path.expanduser(text)  # noqa: PTH111 - pathlib's own would also change ./ and //
    if path.startswith("~"):
        raise ValueError(f"begins with ~, and nobody knows that home folder: {_WANTED}; ./~ is a folder of that name")
    return path


def _check_path(text: str) -> None:
    """Refuse what is no address of ours, and would become a folder of that name."""
    if match := _S3_MISSPELT.match(text):
        rest = text[match.end() :].lstrip("/\\").replace("\\", "/")
        raise ValueError(_WANTED + (f"; did you mean s3://{rest}?" if rest and "@" not in rest else ""))
    if "://" in text or text.startswith(":"):
        raise ValueError(f"{_WANTED}; a directory is written as its path alone")
    match = _SCHEME.fullmatch(text)
    if match and (match["scheme"].lower() in _SCHEMES or match["rest"][:1] in {"/", "\\"}):
        raise ValueError(f"{_WANTED}; write ./ before it if it is a folder of that name")
    if _HOST_AND_PATH.fullmatch(text):
        raise ValueError(f"{_WANTED}, and no other machine's; write ./ before it if it is a folder of that name")
    if text.startswith(("\\", ".\\", "..\\")):
        raise ValueError(f"{_WANTED}, with / and not \\ between folders")
    if ".amazonaws.com" in text.partition("/")[0].lower():
        raise ValueError(_WANTED)
    if text == "-":
        raise ValueError(f"{_WANTED}: a lake is many files, and can't be standard output")
