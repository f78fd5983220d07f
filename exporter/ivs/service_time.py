"""The service's time: what "now" is in one scope, whatever an answer's header, the local clock or the log says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.aws.http_dates import read_date_us
from exporter.telemetry.logger import Logger
from exporter.text import cut
from exporter.timestamps import MINUTE_US, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: How far a time from outside may lie from the local clock. Source: AWS General Reference, "Signing AWS API requests":
#: a request must reach AWS within five minutes of its time, with most services fifteen. So on an accepted call the
#: local clock is right, and a ``Date`` that is further off is not AWS's.
FAR_US = 15 * MINUTE_US

_log = Logger(__name__)


@dataclass(slots=True)
class FarDates:
    """Warns of the first answer whose ``Date`` does not count: once, for all scopes of a run."""

    has_warned: bool = field(default=False, init=False)

    def warn(self, date: str, local_us: int) -> None:
        """Warn of an answer, where it is the first such. ``date`` is its header, empty where it has none."""
        if not self.has_warned:
            self.has_warned = True
            _log.warning(
                "an answer's Date does not count, the local clock does: it is absent, unreadable or more than 15"
                " minutes off, and so not AWS's; look for what answers in between, a proxy or gateway",
                date=cut(date),
                local_time=text_of(local_us),
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment at which a call is made: the local clock, and the latest time in the scope's log, if it has any."""

    local_us: int
    latest_us: int | None


@dataclass(slots=True)
class ServiceTime:
    """The service's time in one scope, in microseconds since the epoch: never more than :data:`FAR_US` off ``wall_us``.

    It is the ``Date`` of the last answer where that lies so near to the local clock ``wall_us``, else the local clock;
    and never before ``latest_us``, the latest time in the scope's log, unless that lies too far ahead.

    Of an answer, clock and log count as they stood when its call was made: the reader may have been suspended
    meanwhile, and a list is no younger than the moment at which it was made.
    """

    wall_us: Callable[[], int]
    far_dates: FarDates = field(default_factory=FarDates)
    latest_us: Callable[[], int | None] = lambda: None
    _date: str | None = field(default=None, init=False)
    _date_us: int | None = field(default=None, init=False)
    _answered_us: int | None = field(default=None, init=False)

    @property
    def now_us(self) -> int:
        """The time of the last answer, while that is near the local clock; else the local clock's."""
        local_us = self.wall_us()
        answered_us = self._answered_us
        if answered_us is None or not _is_near(answered_us, local_us):
            answered_us = local_us
        return _bounded(answered_us, self.asked())

    def asked(self) -> Asked:
        """Note the moment of a call that is made just now."""
        return Asked(self.wall_us(), self.latest_us())

    def answered(self, date: str, asked: Asked) -> int:
        """Date an answer with this ``Date`` header, whatever it holds, to a call that was made at ``asked``."""
        if date != self._date:  # many answers have one date, and reading it takes long
            self._date, self._date_us = date, read_date_us(date)
        moment_us = self._date_us
        if moment_us is None or not _is_near(moment_us, asked.local_us):
            self.far_dates.warn(date, asked.local_us)
            moment_us = asked.local_us
        self._answered_us = moment_us
        return _bounded(moment_us, asked)


def _bounded(moment_us: int, asked: Asked) -> int:
    """A moment, or the latest in the log, where that is later and not too far ahead of the local clock."""
    latest_us = asked.latest_us
    return moment_us if latest_us is None or latest_us > asked.local_us + FAR_US else max(moment_us, latest_us)


def _is_near(moment_us: int, local_us: int) -> bool:
    return abs(moment_us - local_us) <= FAR_US
