"""The botocore session of all who use the same credentials, made anew for all of them once it has expired.

It is aiobotocore's, which aioboto3's sessions are made of: only S3 goes through aioboto3, which is slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiobotocore.session import AioSession

from exporter.aws.errors import providing_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gives a session each time that its user needs one: another one than before, for what it had has expired.
    MakeSession = Callable[[], AioSession]


def open_session(make: MakeSession = AioSession) -> AioSession:
    """The session that ``make`` makes. Raises :class:`CredentialsLost` where AWS's own configuration can't be read."""
    with providing_credentials():
        return make()


class SharedSession:
    """The session of all who use the same credentials, replaced for all of them as soon as one finds it expired."""

    def __init__(self, make: MakeSession) -> None:
        self._make = make
        self._current: AioSession | None = None

    @property
    def current(self) -> AioSession:
        """The session that all use now."""
        if self._current is None:
            self._current = open_session(self._make)
        return self._current

    def other_than(self, expired: AioSession | None) -> AioSession:
        """The current session, but never ``expired``."""
        if expired is not None and expired is self._current:
            self._current = None
        return self.current

    def for_one(self) -> MakeSession:
        """The sessions of one user: first the one that all use, then each time another than the one before."""
        last: AioSession | None = None

        def next_session() -> AioSession:
            nonlocal last
            last = self.other_than(last)
            return last

        return next_session
