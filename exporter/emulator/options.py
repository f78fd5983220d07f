"""What an emulator is started with: its world, its accounts, its clock and how its service answers.

Every class here is frozen and says with a ``ValueError`` which of its values is wrong.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from exporter.emulator.clock import SECOND_US
from exporter.model import is_region

if TYPE_CHECKING:
    from pathlib import Path

#: The widest indexes that an id can carry; see `exporter.emulator.world.ids`.
STAGES_MAX = 1 << 22
SESSIONS_MAX = 1 << 24
PARTICIPANTS_MAX = 1 << 24

_SLOT_S_MIN = 2
_DAY_S = 86_400
_CENTURY_DAYS = 36_525
_ACCOUNT_DIGITS = 12
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Size:
    """How many of something: always ``low`` where ``high`` is the same, else drawn with a heavy tail.

    A draw is ``low`` at least and ``high`` at most. Its mean is about ``mean``, less what ``high`` cuts off.
    """

    low: int
    mean: float
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.mean <= self.high:
            raise ValueError(f"a size needs 0 <= low <= mean <= high, not {self.low}:{self.mean:g}:{self.high}")

    @classmethod
    def fixed(cls, count: int) -> Self:
        """Always ``count``."""
        return cls(count, count, count)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"8"`` (always 8) or ``"1:8:5000"`` (low, mean, high); ValueError for anything else."""
        parts = text.split(":")
        try:
            if len(parts) == 1:
                return cls.fixed(int(text))
            low, mean, high = parts
            return cls(int(low), float(mean), int(high))
        except ValueError as error:
            raise ValueError(f"size {text!r} is neither COUNT nor LOW:MEAN:HIGH: {error}") from None

    @property
    def is_fixed(self) -> bool:
        """Whether every draw gives the same count."""
        return self.low == self.high

    def pick(self, fraction: float) -> int:
        """The count for a ``fraction`` in [0, 1), which is uniform where the counts shall be spread as said."""
        if self.is_fixed:
            return self.low
        # A Lomax variable of shape 2 and mean 1. It takes a square root only, which every machine rounds alike.
        tail = 1.0 / math.sqrt(1.0 - fraction) - 1.0
        return min(self.high, self.low + int((self.mean - self.low) * tail + 0.5))


@dataclass(frozen=True, slots=True)
class WorldShape:
    """How many stages there are, sessions of a stage, participants of a session, and events of a participant."""

    stages: int = 3
    sessions: Size = Size(2, 4, 40)
    participants: Size = Size(1, 8, 5_000)
    events: Size = Size(2, 24, 20_000)

    def __post_init__(self) -> None:
        _check_range("stages", self.stages, STAGES_MAX)
        if self.sessions.high > SESSIONS_MAX or self.participants.high > PARTICIPANTS_MAX:
            raise ValueError(f"sessions a stage and participants a session are at most {SESSIONS_MAX}")


@dataclass(frozen=True, slots=True)
class WorldTimes:
    """When a world's sessions begin, and how long it shows them.

    ``start_us`` is the first moment of the world in microseconds since the epoch, on a whole second; None means
    ``days`` days before the full hour of the emulator's start. All sessions begin within ``days`` days of it. A
    participant's events are listed up to ``lag_s`` seconds after their time (AWS documents no bound). Sessions are
    forgotten ``retention_days`` after their end; None means never. ``zoneless`` writes one time in five without a zone,
    which AWS's documentation does not rule out and its SDK for JavaScript refuses.
    """

    start_us: int | None = None
    days: float = 7.0
    lag_s: float = 0.0
    retention_days: float | None = None
    zoneless: bool = False

    def __post_init__(self) -> None:
        _check_range("days", self.days, _CENTURY_DAYS)
        _check_range("lag_s", self.lag_s, _CENTURY_DAYS * _DAY_S)
        _check_range("retention_days", self.retention_days, _CENTURY_DAYS)
        if self.start_us is not None and self.start_us % SECOND_US:
            raise ValueError("start_us must be a whole second")


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """All that a seeded world is made from; every (account, region) that holds stages has a world of its own.

    Of the stages' last sessions about the ``active_share`` goes on for hours after the world's days. About the
    ``sleepless_share`` of the stages has one session alone, which never ends, and whose participants come and go on all
    of the world's days. Of every second stage the ``replicated_share`` of sessions have their first publisher
    replicated to the stage before, where a session goes on there meanwhile; sleepless stages have no part in that.
    ``hostile`` fills every free text with what breaks careless programs.
    """

    seed: int = 1
    shape: WorldShape = field(default_factory=WorldShape)
    times: WorldTimes = field(default_factory=WorldTimes)
    active_share: float = 0.33
    sleepless_share: float = 0.0
    replicated_share: float = 0.5
    hostile: bool = False

    def __post_init__(self) -> None:
        _check_range("seed", self.seed, (1 << 64) - 1)
        _check_range("active_share", self.active_share, 1)
        _check_range("sleepless_share", self.sleepless_share, 1)
        _check_range("replicated_share", self.replicated_share, 1)
        days, sessions = self.times.days, self.shape.sessions.high
        if days == 0 or sessions * _SLOT_S_MIN > days * _DAY_S:
            raise ValueError(f"days={days:g} has no room for {sessions} sessions a stage, one by one")


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account and one pair of keys that opens it.

    A call must carry ``session_token`` if there is one. After ``expires_s``, seconds since the epoch in *real* time,
    the keys answer ``ExpiredTokenException``.
    """

    access_key: str = "emulator"
    secret: str = field(default="emulator", repr=False)
    account_id: str = "111122223333"
    session_token: str | None = field(default=None, repr=False)
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class RoleOptions:
    """The one role that each account has, ``role/<name>``, which the keys of every account may assume.

    AssumeRole must carry ``external_id``, if there is one. The keys that STS issues last ``life_s`` seconds of *real*
    time; None means what the caller asks for, an hour where it asks for nothing.
    """

    name: str = "ivs-export"
    external_id: str | None = field(default=None, repr=False)
    life_s: float | None = None

    def __post_init__(self) -> None:
        if not _ROLE_NAME.fullmatch(self.name):
            raise ValueError(f"role {self.name!r} is not 1 to 64 letters, digits and _+=,.@-")
        if self.life_s is not None and not 0.0 < self.life_s < math.inf:
            raise ValueError(f"the life of a role's keys must be more than 0 s, not {self.life_s}")


@dataclass(frozen=True, slots=True)
class QuotaOptions:
    """The token bucket of each (operation, account, region), and how a call without a token is answered.

    AWS's quota is 5 calls a second for each read operation (User Guide, "Service Quotas"); its burst and the code of
    its throttled answer are not known. ``code`` is the name in ``x-amzn-ErrorType``, None for an answer without that
    header; ``retry_after_s`` adds a ``Retry-After`` header.
    """

    calls_per_second: float = 5.0
    burst: int = 5
    code: str | None = "ThrottlingException"
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.calls_per_second < math.inf:
            raise ValueError(f"calls_per_second must be more than 0, not {self.calls_per_second}")
        if self.burst < 1:
            raise ValueError(f"burst must be 1 or more, not {self.burst}")


@dataclass(frozen=True, slots=True)
class PagingOptions:
    """How lists are paged.

    In ``mode`` "live" a page counts from the list as it is when the page is asked for, so that an active list shifts
    under its reader; "snapshot" counts from the list as it was at the first page. Page tokens live ``token_life_s``
    seconds of simulated time; None means for ever. Pages that cannot change any more are cached, up to ``cache_bytes``
    of them.
    """

    mode: Literal["live", "snapshot"] = "live"
    token_life_s: float | None = None
    cache_bytes: int = 128 << 20

    def __post_init__(self) -> None:
        if self.token_life_s is not None and not 0.0 < self.token_life_s < math.inf:
            raise ValueError(f"token_life_s must be more than 0, not {self.token_life_s}")


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """How the emulated service answers.

    ``unknown`` says what an unknown stage, session or participant answers: AWS documents it for GetParticipant alone
    (``ResourceNotFoundException``). ``error_type_url`` adds to the name of an error the colon and the URL that AWS may
    add. ``faults`` are texts in the grammar of `exporter.emulator.faults.kinds`.
    """

    quota: QuotaOptions = field(default_factory=QuotaOptions)
    paging: PagingOptions = field(default_factory=PagingOptions)
    unknown: Literal["not_found", "empty", "denied"] = "not_found"
    error_type_url: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockOptions:
    """The emulator's time: ``start_us`` microseconds since the epoch at its start; None means real time."""

    is_frozen: bool = False
    start_us: int | None = None


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where the emulator listens; port 0 is any free one. ``tls`` is a certificate's file and its key's, both PEM."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: tuple[Path, Path] | None = None


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """All that an emulator is started with. ``regions`` hold stages; the other regions of IVS answer an empty list."""

    world: WorldOptions = field(default_factory=WorldOptions)
    accounts: tuple[Account, ...] = (Account(),)
    regions: tuple[str, ...] = ("us-east-1",)
    roles: RoleOptions = field(default_factory=RoleOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    clock: ClockOptions = field(default_factory=ClockOptions)
    listen: ListenOptions = field(default_factory=ListenOptions)

    def __post_init__(self) -> None:
        strange = [region for region in self.regions if not is_region(region)]
        if strange:
            raise ValueError(f"{', '.join(strange)} is no name of an AWS region")
        if not self.accounts:
            raise ValueError("accounts must name one account at least")
        keys = [account.access_key for account in self.accounts]
        if len(set(keys)) != len(keys):
            raise ValueError("accounts must not share an access key")
        for account in self.accounts:
            if len(account.account_id) != _ACCOUNT_DIGITS or not account.account_id.isdecimal():
                raise ValueError(f"account id {account.account_id!r} has not {_ACCOUNT_DIGITS} digits")
            if not _ACCESS_KEY.fullmatch(account.access_key):
                raise ValueError(f"access key {account.access_key!r} is not one of letters, digits, _ and -")


def _check_range(name: str, value: float | None, most: float) -> None:
    if value is not None and not 0 <= value <= most:
        raise ValueError(f"{name} must be 0 to {most}, not {value}")
