"""The errors that the exporter raises on purpose, in more than one package.

::

    ExportError
    ├── UsageError              wrong usage or configuration; nothing was started
    ├── ApiError                a call to IVS did not give an answer that can be used
    │   ├── Throttled           slow down and try again; uses no attempt
    │   ├── Transient           5xx, reset, time-out; try again
    │   │   └── Malformed       a 200 that is not a JSON object with its list member
    │   ├── Refused             denied, invalid, not found: final for what was asked
    │   │   └── TokenRefused    a page token was refused in the middle of a list
    │   ├── Endless             a token that repeats, a list that never ends
    │   ├── GaveUp              tried until the attempts or the time were used up
    │   ├── Starved             throttled for so long that the operation is deferred
    │   ├── ShutOut             refused so often, with no success, that the operation is asked no more
    │   └── ScopeLost           no call of the scope can be answered: it ends
    │       ├── CredentialsLost missing, expired or invalid, and not to be renewed
    │       ├── Unreachable     a certificate, proxy or endpoint that no other try will change
    │       └── ClockWrong      this machine's clock is so far off that AWS refuses its signatures
    ├── Vanished                a session that the commit log names is no longer listed
    ├── EventUnreadable         an event that can't be read; fails its unit
    │   └── EventUndated        an event without a date; the unit's others are exported
    ├── QueryFailed             a question to the lake could not be answered to its end
    ├── TemporaryFolderRefused  the temporary folder can't be used; fails the units that need it
    └── LakeError               the lake can't be read or written
        ├── LakeBusy            a passing fault; try again
        ├── LakeRefused         no such bucket, no permission, no space
        │   └── StagedGone      something else removed a file while it was being staged
        ├── LakeTooNew          written by a newer major version of the format
        ├── LogDamaged          a scope's commit log is not whole, or does not fit the files
        ├── FileDamaged         a data file is not what its record says
        ├── FileLost            a data file that the log names is gone
        ├── ScopeHeld           another run holds the scope
        └── Overtaken           another run committed first to the same scope

Errors of botocore, aiohttp, pyarrow and the operating system are translated where those are called.
Those of one package alone stand there, such as `catalog.errors.CatalogError` and `telemetry.unforeseen.Bug`.
"""

from __future__ import annotations

#: What can be done about a damaged log.
HOW_TO_GO_ON = "restore `_log` from a backup, or run `ivs-export repair`"


class ExportError(Exception):
    """What went wrong, in one line for the user.

    ``kind`` is the short, stable name that logs and the summary's ``failures`` carry. ``group`` is what errors of one
    cause have in common, where their texts differ; None: the text.
    """

    kind = "error"
    group: str | None = None

    @property
    def is_for_good(self) -> bool:
        """Whether AWS itself refuses for good: nothing else is a reason to give something up."""
        return False


class UsageError(ExportError):
    """The command, its configuration or its list of targets is wrong."""

    kind = "usage"


class ApiError(ExportError):
    """A call to IVS did not give an answer that can be used."""

    kind = "api_error"


class Throttled(ApiError):
    """IVS asked for fewer calls. ``retry_after_s`` is what its answer said, if it did."""

    kind = "throttled"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Transient(ApiError):
    """A fault that may pass: 5xx, a reset, a time-out. ``retry_after_s`` as for a throttle."""

    kind = "transient"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Malformed(Transient):
    """An answer with status 200 whose body is not a JSON object with its list member."""

    kind = "malformed"


# Source: the botocore model `ivs-realtime` 2020-07-14, and AWS General Reference, "Common error types".
_FOR_GOOD_CODES = frozenset(
    {"InvalidParameterException", "InvalidParameterValue", "ResourceNotFoundException", "ValidationError"}
    | {"ResourceNotFound", "ValidationException"}
)


class Refused(ApiError):
    """This call is refused, and gets no second try.

    ``code`` is AWS's name of the error. ``is_aws`` says that AWS itself refuses: the answer names an error as AWS does.
    Else something between here and AWS answered, a proxy, say, and ``code`` is the bare status or that one's name.
    """

    kind = "refused"

    def __init__(self, message: str, code: str, *, is_aws: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.is_aws = is_aws

    @property
    def is_for_good(self) -> bool:
        """Whether AWS says that what was asked for is invalid or not there."""
        return self.is_aws and self.code in _FOR_GOOD_CODES

    @property
    def is_not_found(self) -> bool:
        """Whether AWS says that what was asked for is not there."""
        return self.is_aws and self.code == "ResourceNotFoundException"


class TokenRefused(Refused):
    """A page token was refused after earlier pages of the same list were answered. It says nothing of the list."""

    kind = "token_refused"

    @property
    def is_for_good(self) -> bool:
        """Never: the list is there."""
        return False


class Endless(ApiError):
    """A list whose token repeats, or that goes on without an end."""

    kind = "endless"


class GaveUp(ApiError):
    """A call was tried until its attempts or its time were used up. ``cause`` is what the last try met."""

    kind = "gave_up"

    def __init__(self, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.group = cause


class Starved(ApiError):
    """An operation was throttled without one success for the whole time a call may take."""

    kind = "starved"


class ShutOut(ApiError):
    """An operation was refused so often, with no success, that this run asks it no more.

    It is one failure with the refusals that led to it, whose ``group`` it has, and its text is the one to show.
    """

    kind = Refused.kind

    def __init__(self, message: str, group: str | None) -> None:
        super().__init__(message)
        self.group = group


class ScopeLost(ApiError):
    """A cause that every call of the scope would meet again: what was fetched is committed, and the scope ends."""

    kind = "scope_lost"


class Unreachable(ScopeLost):
    """Between here and IVS stands what no other try will change: a certificate, a proxy, a name that does not exist."""

    kind = "unreachable"


class ClockWrong(ScopeLost):
    """This machine's clock and the service's are so far apart that signatures are refused."""

    kind = "clock"


class CredentialsLost(ScopeLost):
    """The credentials are missing, expired or invalid. ``is_expired`` says that new ones may help."""

    kind = "credentials"

    def __init__(self, message: str, *, is_expired: bool = False) -> None:
        super().__init__(message)
        self.is_expired = is_expired


class Vanished(ExportError):
    """A session that the commit log names, and that is not sealed, is missing from a complete listing."""

    kind = "vanished"


class EventUnreadable(ExportError):
    """An event, or a page of them, that can't be read and is not dropped."""

    kind = "event_unreadable"


class EventUndated(EventUnreadable):
    """An event whose time is missing or unreadable: it has no date, and is kept among the rejects."""

    group = "events without a time"


class TemporaryFolderRefused(ExportError):
    """The temporary folder can't be written or read. The message names the folder and TMPDIR."""

    kind = "temporary_folder"


class QueryFailed(ExportError):
    """A question to the lake could not be answered to its end."""

    kind = "query"


class LakeError(ExportError):
    """The lake can't be read or written."""

    kind = "lake"


class LakeBusy(LakeError):
    """A passing fault of the lake: a time-out, a reset, a 5xx, a throttle."""

    kind = "lake_busy"


class LakeRefused(LakeError):
    """The lake refuses for good: no such bucket, no permission, no space."""

    kind = "lake_refused"


class StagedGone(LakeRefused):
    """Something else removed a file while it was being staged: a newer run does so with what older ones staged."""


class LakeTooNew(LakeError):
    """The lake was written by a newer major version of the format than this program reads."""

    kind = "lake_too_new"


class LogDamaged(LakeError):
    """A scope's commit log lacks something, was altered, or does not fit the files beside it.

    Nothing is built on such a log: the scope stops until it is restored, or begun anew from the files. ``reason`` is
    what is wrong, without how to go on.
    """

    kind = "log_damaged"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; {HOW_TO_GO_ON}")
        self.reason = reason


class FileDamaged(LakeError):
    """A data file is not what its record says, or can't be read as what it should be."""

    kind = "file_damaged"


class FileLost(LakeError):
    """A data file that the log names is gone: its sessions are opened again."""

    kind = "file_lost"


class ScopeHeld(LakeError):
    """Another run holds the scope."""

    kind = "held"


class Overtaken(LakeError):
    """Another run committed first to the same scope, so this one may not commit any more."""

    kind = "overtaken"
