"""The aioboto3 session of all who use the same credentials, made anew for all of them once it has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aioboto3

from exporter.aws.errors import providing_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gives a session each time that its user needs one: another one than before, for what it had has expired.
    MakeSession = Callable[[], aioboto3.Session]


def open_session(make: MakeSession = aioboto3.Session) -> aioboto3.Session:
    """The session that ``make`` makes. Raises :class:`CredentialsLost` where AWS's own configuration can't be read."""
    with providing_credentials():
        return make()


class SharedSession:
    """The session of all who use the same credentials, replaced for all of them as soon as one finds it expired."""

    def __init__(self, make: MakeSession) -> None:
        self._make = make
        self._current: aioboto3.Session | None = None

    @property
    def current(self) -> aioboto3.Session:
        """The session that all use now."""
        if self._current is None:
            self._current = open_session(self._make)
        return self._current

    def other_than(self, expired: aioboto3.Session | None) -> aioboto3.Session:
        """The current session, but never ``expired``."""
        if expired is not None and expired is self._current:
            self._current = None
        return self.current

    def for_one(self) -> MakeSession:
        """The sessions of one user: first the one that all use, then each time another than it was given before."""
        given: aioboto3.Session | None = None

        def next_session() -> aioboto3.Session:
            nonlocal given
            given = self.other_than(given)
            return given

        return next_session
