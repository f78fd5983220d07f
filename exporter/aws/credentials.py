"""What calls are signed with: found as every AWS tool finds it, refreshed by its provider, read anew once expired."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from exporter.aws.credential_process import process_of
from exporter.aws.errors import NO_CREDENTIALS, providing_credentials, unusable
from exporter.aws.renewal import renew_once
from exporter.errors import CredentialsLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiobotocore.session import AioSession


class Keys(Protocol):
    """What signs: botocore's frozen credentials, for one."""

    access_key: str
    secret_key: str
    token: str | None


# Botocore looks at its calendar each time that keys are asked for, which takes as long as signing.
_KEPT_S = 1.0
# How long a provider whose keys can't be renewed now is left alone, while they still serve: seconds, and a share of the
# time that is left to them, at most.
_KEPT_STALE_S, _KEPT_STALE_SHARE = 15.0, 0.25
# botocore's own times before the end at which it renews what it can and what it must. They suit keys that last an hour,
# and would renew shorter ones without a pause; so they are a share of the keys' life at most.
_MAY_RENEW_S, _MAY_RENEW_SHARE = 900.0, 0.25
_MUST_RENEW_S, _MUST_RENEW_SHARE = 600.0, 0.125
_VARIABLES = {"access key id": "AWS_ACCESS_KEY_ID", "secret access key": "AWS_SECRET_ACCESS_KEY"} | {
    "session token": "AWS_SESSION_TOKEN"
}


class Credentials:
    """The credentials of one scope.

    ``make_session`` makes a session; it is called again only when the credentials have expired, so that
    rotated keys in a file or a new role session are found. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, make_session: Callable[[], AioSession], clock: Callable[[], float]) -> None:
        self._make_session = make_session
        self._clock = clock
        self._provided: Any = None
        self._kept: tuple[Keys, float] | None = None
        self._finding = asyncio.Lock()

    async def keys(self) -> Keys:
        """The keys of this moment. Raises :class:`CredentialsLost` where there are none."""
        if self._kept is not None and self._clock() < self._kept[1]:
            return self._kept[0]
        if self._provided is None:
            async with self._finding:
                if self._provided is None:
                    await self._find()
        provided = self._provided
        keys = await keys_of(provided)
        if provided is self._provided:
            self._kept = keys, self._clock() + _kept_s(provided)
        return keys

    async def renew(self, expired: Keys) -> bool:
        """Look for new keys, and report whether there are others than the ``expired`` ones now."""
        return await renew_once(self._finding, expired, self.keys, self._find)

    async def _find(self) -> None:
        with providing_credentials():
            provided = await self._make_session().get_credentials()
        self._kept = None  # others may have kept the keys of before meanwhile
        if provided is None:
            # The old ones stay: without any, `keys` would wait for the lock that `renew` holds while it calls it.
            raise CredentialsLost(NO_CREDENTIALS)
        self._provided = provided


async def keys_of(provided: Any) -> Keys:  # noqa: ANN401 - botocore has no types
    """The keys that botocore's credentials hold now, renewed first where it is time to.

    Raises :class:`CredentialsLost` where their provider fails, and where they are none that could be sent.
    """
    with providing_credentials():
        keys: Keys = await provided.get_frozen_credentials()
        _suit_renewal(provided)
    process = process_of(provided)
    _check("access key id", keys.access_key, process)
    _check("secret access key", keys.secret_key, process)
    if keys.token:
        _check("session token", keys.token, process)
    return keys


def renewal_of(life_s: float) -> tuple[float, float]:
    """When keys that live for ``life_s`` may be renewed, and when they must be, both in seconds before their end."""
    return min(_MAY_RENEW_S, life_s * _MAY_RENEW_SHARE), min(_MUST_RENEW_S, life_s * _MUST_RENEW_SHARE)


def _kept_s(provided: Any) -> float:  # noqa: ANN401 - botocore has no types
    """For how many seconds keys that were just read are used without a look at their provider."""
    if getattr(provided, "_expiry_time", None) is None:
        return _KEPT_S
    if not provided.refresh_needed(provided._advisory_refresh_timeout):  # noqa: SLF001 - as `_suit_renewal`
        return _KEPT_S
    return min(_KEPT_STALE_S, float(provided._seconds_remaining()) * _KEPT_STALE_SHARE)  # noqa: SLF001 - the same


def _suit_renewal(provided: Any) -> None:  # noqa: ANN401 - botocore has no types
    """Let keys be renewed at a share of their life, for all who use them: IVS, STS, the lake.

    botocore renews from a quarter of an hour before their end on. A profile's role with ``duration_seconds = 900``
    would be assumed each time that its keys are asked for. There is no public way in: the role's provider makes the
    object. One that lacks these members is left as it is.
    """
    ends = getattr(provided, "_expiry_time", None)
    if isinstance(ends, datetime) and ends is not getattr(provided, "_ivs_export_suited", None):
        life_s = max(0.0, provided._seconds_remaining())  # noqa: SLF001 - above
        provided._advisory_refresh_timeout, provided._mandatory_refresh_timeout = renewal_of(life_s)  # noqa: SLF001 - above
        provided._ivs_export_suited = ends  # noqa: SLF001 - the end of the keys that it was done for


def _check(name: str, value: object, process: str) -> None:
    """Refuse what no header can carry. A key in a file that ``echo`` has made ends with a line break, say.

    ``process`` names the program that gave it, if one did.
    """
    if isinstance(value, str) and value and value.isascii() and value.isprintable() and " " not in value:
        return
    variable = _VARIABLES[name]
    source = variable if value and os.environ.get(variable) == value else process or "where it comes from"
    fault = "holds a space, a line break or another character that no key has" if value else "is empty"
    fault = fault if value in (None, "") or isinstance(value, str) else "is no text"
    raise unusable(f"the {name} {fault}: mend {source}")
