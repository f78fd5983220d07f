"""What calls are signed with: found as every AWS tool finds it, refreshed by its provider, read anew once expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from botocore import exceptions as aws

from exporter.errors import CredentialsLost

if TYPE_CHECKING:
    from collections.abc import Callable

    import aioboto3

    from exporter.api.signing import Keys

#: What botocore and aiobotocore raise where there are no credentials to be had.
NO_CREDENTIALS = (
    aws.ClientError,  # STS refuses a role, say
    aws.BotoCoreError,  # a provider fails, a file is damaged, a network is away
    RuntimeError,  # botocore's own, where a provider gives keys that have expired already
)


# Botocore looks at its calendar each time that keys are asked for, which takes as long as signing; it renews them 10 to
# 15 minutes before they expire.
_KEPT_S = 1.0


class Credentials:
    """The credentials of one scope.

    ``make_session`` makes an aioboto3 session; it is called again only when the credentials have expired, so that
    rotated keys in a file or a new role session are found. ``clock`` is monotonic, in seconds.
    """

    def __init__(self, make_session: Callable[[], aioboto3.Session], clock: Callable[[], float]) -> None:
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
        try:
            keys: Keys = await provided.get_frozen_credentials()
        except NO_CREDENTIALS as error:
            raise lost(error) from error
        if provided is self._provided:
            self._kept = keys, self._clock() + _KEPT_S
        return keys

    async def renew(self, expired: Keys) -> bool:
        """Whether there are other keys than the ``expired`` ones, after a look for them."""
        async with self._finding:
            if await self.keys() == expired:
                await self._find()
            return await self.keys() != expired

    async def _find(self) -> None:
        try:
            self._provided = await self._make_session().get_credentials()
        except NO_CREDENTIALS as error:
            raise lost(error) from error
        self._kept = None  # others may have kept the keys of before meanwhile
        if self._provided is None:
            raise CredentialsLost(
                "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run"
                " where a role gives them"
            )


def lost(error: Exception) -> CredentialsLost:
    """The error of this project that one of `NO_CREDENTIALS` stands for."""
    return CredentialsLost(f"no AWS credentials can be used: {' '.join(str(error).split())}")
