"""Calls to S3, and what is wrapped around a client that sends each of them once: `open` puts them together.

Each wrapper adds one thing. `Translating` turns whatever is raised into the lake's errors, `Renewing` lets expired
credentials be read anew, and `Retrying` tries again what may pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from exporter.aws.renewal import renew_once
from exporter.errors import LakeBusy, LakeError
from exporter.lake.stores.s3.errors import Conflict, Expired, translated, without_credentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from exporter.lake.stores.s3.client import Limits, S3Client

_WAIT_FIRST_S = 0.2
_WAIT_S_MAX = 5.0


@dataclass(frozen=True, slots=True)
class S3Request:
    """A call of one of the client's methods, with the members that are its own.

    The body of an object is read where ``size_bytes_max`` says how large it may be; it is in the answer's ``Body``.
    """

    method: str
    members: Mapping[str, Any]
    size_bytes_max: int | None = None

    @property
    def key(self) -> str:
        """The key of the object; "" for a list."""
        key: str = self.members.get("Key", "")
        return key


class S3Calls(Protocol):
    """Calls to one bucket."""

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send, and return the answer as botocore parses it.

        Raises `Missing`, `Taken` (see :mod:`exporter.lake.stores.s3.errors`), :class:`LakeBusy` and
        :class:`LakeRefused`.
        """
        ...


class Translating:
    """Attempts that end within ``timeout_s``, and in the lake's errors alone.

    Whatever botocore raises, what it stands on, or a provider of credentials, is translated here: its classes are too
    many to name.
    """

    def __init__(self, client: S3Client, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send once. Raises `Expired` and `Conflict`, too."""
        meaning = without_credentials
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.find_credentials()  # so that what a provider raises is not taken for S3's
                meaning = translated
                return await self._client.send(request)
        except LakeError:
            raise
        except Exception as error:
            raise meaning(error, self._client.about(request.method, request.key)) from error


class Renewing:
    """Calls whose credentials are read anew once they have expired: a passing fault, where there are others then."""

    def __init__(self, calls: S3Calls, client: S3Client, lake: str) -> None:
        self._calls = calls
        self._client = client
        self._lake = lake
        self._lock = asyncio.Lock()

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send once. Raises :class:`LakeBusy` in place of `Expired` where another attempt has other credentials."""
        opened = await self._client.opened()
        try:
            return await self._calls.send(request)
        except Expired as error:
            if await renew_once(self._lock, opened, self._client.opened, self._client.reopen):
                raise LakeBusy(f"{self._lake}: the credentials had expired and were read anew") from error
            raise


class Retrying:
    """Calls that are tried again while what ends them may pass, with full jitter between.

    Attempts are bounded by their number and by their time; then the last one's :class:`LakeBusy` is raised.
    """

    def __init__(self, calls: S3Calls, limits: Limits, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._calls = calls
        self._limits = limits
        self._sleep = sleep

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send until it is answered, or refused for good."""
        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type((LakeBusy, Conflict)),
            stop=stop_after_attempt(self._limits.attempts) | stop_after_delay(self._limits.attempts_s),
            wait=wait_random_exponential(multiplier=_WAIT_FIRST_S, max=_WAIT_S_MAX),
            reraise=True,
        )
        try:
            return await retrying(self._calls.send, request)
        except Conflict as error:
            raise LakeBusy(str(error)) from error
