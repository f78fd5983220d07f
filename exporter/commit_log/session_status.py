"""The status of a session that a run works on, and what changes it: one table. Pure.

| status | the log | may this run seal it? |
| --- | --- | --- |
| NEW | has it neither open nor sealed, or has let go of it | yes |
| NEW_CONTESTED | the same | no: what this run learned of it is not to be trusted |
| OPEN | has it open | yes |
| CONTESTED | has it open | no |
| SEALED | has it sealed, by a commit of this run | it has |
| KEPT_SEALED | has it sealed, from before; it is fetched again all the same | it stays sealed |

Losing files opens a session again, whatever it was: the log has it open from then on, and this run does not seal it.
"""

from __future__ import annotations

from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SessionStatus(Enum):
    """What the log has of a session, and whether this run may seal it."""

    NEW = auto()
    NEW_CONTESTED = auto()
    OPEN = auto()
    CONTESTED = auto()
    SEALED = auto()
    KEPT_SEALED = auto()

    @property
    def is_new(self) -> bool:
        """Whether the log does not have the session yet, or not any more."""
        return self in {SessionStatus.NEW, SessionStatus.NEW_CONTESTED}

    @property
    def is_contested(self) -> bool:
        """Whether this run must not seal the session."""
        return self in {SessionStatus.NEW_CONTESTED, SessionStatus.CONTESTED}

    def after(self, event: SessionEvent) -> SessionStatus:
        """The next status. Raises :class:`AssertionError` for an event that can't come then."""
        following = TRANSITIONS[self][event]
        if following is None:
            raise AssertionError(f"{event.name} of a session that is {self.name}")
        return following


class SessionEvent(Enum):
    """What changes a session's status."""

    #: One list showed two ends of it.
    OTHER_END_LISTED = auto()
    #: The log let go of files with rows of it, and opened it for that.
    FILES_LOST = auto()
    #: A record of this run has it open.
    COMMITTED_OPEN = auto()
    #: A record of this run has it sealed.
    COMMITTED_SEALED = auto()


_S, _E = SessionStatus, SessionEvent
#: By status, then by event: the next status; None where the event can't come.
TRANSITIONS: Mapping[SessionStatus, Mapping[SessionEvent, SessionStatus | None]] = MappingProxyType(
    {
        _S.NEW: {
            _E.OTHER_END_LISTED: _S.NEW_CONTESTED,
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: _S.OPEN,
            _E.COMMITTED_SEALED: _S.SEALED,
        },
        _S.NEW_CONTESTED: {
            _E.OTHER_END_LISTED: _S.NEW_CONTESTED,
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: _S.CONTESTED,
            _E.COMMITTED_SEALED: _S.SEALED,  # its record was being written when the other end came: the next run sees
        },
        _S.OPEN: {
            _E.OTHER_END_LISTED: _S.CONTESTED,
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: _S.OPEN,
            _E.COMMITTED_SEALED: _S.SEALED,
        },
        _S.CONTESTED: {
            _E.OTHER_END_LISTED: _S.CONTESTED,
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: _S.CONTESTED,
            _E.COMMITTED_SEALED: _S.SEALED,  # as above
        },
        _S.SEALED: {
            _E.OTHER_END_LISTED: _S.SEALED,  # the next run's list shows it again, and that run opens it
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: None,  # its list has come to its end: no unit of it is found any more
            _E.COMMITTED_SEALED: _S.SEALED,
        },
        _S.KEPT_SEALED: {
            _E.OTHER_END_LISTED: _S.KEPT_SEALED,
            _E.FILES_LOST: _S.CONTESTED,
            _E.COMMITTED_OPEN: None,  # each of its lines says that it is sealed
            _E.COMMITTED_SEALED: _S.KEPT_SEALED,
        },
    }
)
