"""The keys that calls are signed with: when botocore is asked for them, and when they are looked for anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError

from exporter.api.credentials import Credentials
from exporter.errors import CredentialsLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OLD, NEW = (ReadOnlyCredentials(name, "hidden", None) for name in ("OLD", "NEW"))


class Provided:
    """What botocore gives: the keys of this moment."""

    def __init__(self, keys: ReadOnlyCredentials) -> None:
        self.keys = keys
        self.asked = 0
        self.fails = False

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.asked += 1
        if self.fails:
            raise CredentialRetrievalError(provider="a role", error_msg="gone")
        return self.keys


class Sessions:
    """Sessions that find one provider after the other, at a clock that is set by hand."""

    def __init__(self, *provided: Provided) -> None:
        self.now_s = 100.0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._provided = iter(provided)
        self.credentials = Credentials(lambda: self, lambda: self.now_s)

    async def get_credentials(self) -> Provided | None:
        if self.meanwhile is not None:
            await self.meanwhile()
        return next(self._provided, None)


async def test_keys_are_asked_for_once_a_second() -> None:
    """Many calls a second are signed with what was asked for once, and a renewed key is found soon."""
    provided = Provided(OLD)
    sessions = Sessions(provided)
    assert [await sessions.credentials.keys() for _ in range(5)] == [OLD] * 5
    provided.keys = NEW
    sessions.now_s += 0.9
    assert await sessions.credentials.keys() == OLD
    assert provided.asked == 1
    sessions.now_s += 0.2
    assert await sessions.credentials.keys() == NEW
    assert provided.asked == 2


async def test_expired_keys_are_kept_no_longer() -> None:
    """Where the service says that keys have expired, others are looked for at once."""
    sessions = Sessions(Provided(OLD), Provided(NEW))
    assert await sessions.credentials.keys() == OLD
    assert await sessions.credentials.renew(OLD)
    assert await sessions.credentials.keys() == NEW
    assert await sessions.credentials.renew(OLD)  # another call's answer comes late: there are new ones already
    assert await sessions.credentials.keys() == NEW


async def test_what_others_are_given_meanwhile_is_not_kept() -> None:
    """A call that begins while new keys are looked for is given the old ones, and nobody is after that."""
    sessions = Sessions(Provided(OLD), Provided(NEW))
    assert await sessions.credentials.keys() == OLD
    sessions.now_s += 1.0
    sessions.meanwhile = sessions.credentials.keys
    assert await sessions.credentials.renew(OLD)
    assert await sessions.credentials.keys() == NEW


async def test_a_provider_that_fails_is_no_key() -> None:
    """What can't be had any more is not taken from memory for ever."""
    provided = Provided(OLD)
    sessions = Sessions(provided)
    await sessions.credentials.keys()
    provided.fails = True
    sessions.now_s += 1.0
    with pytest.raises(CredentialsLost, match="gone"):
        await sessions.credentials.keys()
