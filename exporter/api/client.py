"""One attempt at a call: aioboto3 finds the credentials and the endpoint; the answer's raw body is read here.

botocore's way from a call to its answer costs five times what aiohttp does for the same request, and its parser takes a
broken body for an empty list and drops what its model lacks (docs/decisions/0001-raw-answers.md). So requests are
signed and sent here.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import msgspec
from aiobotocore.config import AioConfig
from botocore import exceptions as aws

from exporter.api.answers import Page, read_page, read_refusal
from exporter.api.connections import proxy_for
from exporter.api.operations import Operation
from exporter.api.signing import Signer
from exporter.errors import CredentialsLost, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aioboto3

_SERVICE = "ivs-realtime"
_OK = 200
_NO_CREDENTIALS = (
    aws.ClientError,  # STS refuses a role, say
    aws.BotoCoreError,  # a provider fails, a file is damaged, a network is away
    RuntimeError,  # botocore's own, where a provider gives keys that have expired already
)
_encode = msgspec.json.Encoder().encode


class Client:
    """IVS Real-Time in one region; `open` comes first.

    ``make_session`` makes an aioboto3 session; it is called again only when the credentials have expired, so that
    rotated keys in a file or a new role session are found. ``wall_us`` is the local clock in microseconds since the
    epoch: it dates signatures, and stands in where an answer carries no ``Date``.
    """

    def __init__(
        self,
        make_session: Callable[[], aioboto3.Session],
        region: str,
        connections: aiohttp.ClientSession,
        *,
        wall_us: Callable[[], int],
    ) -> None:
        self._make_session = make_session
        self._region = region
        self._connections = connections
        self._wall_us = wall_us
        self._urls: dict[Operation, str] = {}
        self._proxy: str | None = None
        self._signer: Signer
        self._credentials: Any = None
        self._keys: tuple[str, str | None] | None = None
        self._generation = 0
        self._renewing = asyncio.Lock()
        self._date = ("", 0)
        self._latest_us = 0

    async def open(self) -> Self:
        """Find the credentials and the endpoint. Raises :class:`CredentialsLost`."""
        session = self._make_session()
        await self._find_credentials(session)
        await self._find_endpoint(session)
        return self

    @property
    def now_us(self) -> int:
        """The service's time, in microseconds since the epoch, as its last answer told it; else the local clock."""
        return self._latest_us or self._wall_us()

    async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        """Make one attempt.

        Raises :class:`Throttled`, :class:`Transient` (also :class:`Malformed`), :class:`Refused` or
        :class:`CredentialsLost`. Expired credentials that could be read anew are a :class:`Transient`.
        """
        generation = self._generation
        try:
            return await self._attempt(operation, params)
        except CredentialsLost as error:
            if error.is_expired and await self._renew(generation):
                raise Transient(f"{operation}: the credentials had expired and were read anew") from error
            raise

    async def _attempt(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        try:
            credentials = await self._credentials.get_frozen_credentials()
        except _NO_CREDENTIALS as error:
            raise _lost(error) from error
        url, sent = self._urls[operation], _encode(params)
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall_us() // 1_000_000))
        headers = self._signer.headers(url, sent, credentials, at)
        try:
            async with self._connections.post(
                url, data=sent, headers=headers, proxy=self._proxy, allow_redirects=False
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Transient(f"{operation}: {type(error).__name__} in {self._region}") from error
        if answer.status == _OK:
            return read_page(operation, body, self._served_us(answer.headers.get("Date", "")))
        named = {name.lower(): value for name, value in answer.headers.items()}
        raise read_refusal(operation, answer.status, named, body, datetime.fromtimestamp(self._wall_us() / 1e6, UTC))

    async def _find_endpoint(self, session: aioboto3.Session) -> None:
        """Learn from botocore where the service is, and what a signature calls it."""
        try:
            async with session.client(_SERVICE, region_name=self._region, config=AioConfig()) as client:
                model = client.meta.service_model
                endpoint = client.meta.endpoint_url.rstrip("/")
                self._urls = {each: endpoint + model.operation_model(each).http["requestUri"] for each in Operation}
                self._proxy = proxy_for(endpoint)
                self._signer = Signer(model.signing_name, client.meta.region_name)
        except _NO_CREDENTIALS as error:
            raise _lost(error) from error

    async def _find_credentials(self, session: aioboto3.Session) -> None:
        try:
            credentials = await session.get_credentials()
            if credentials is None:
                raise CredentialsLost(
                    "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
                    " run where a role gives them"
                )
            frozen = await credentials.get_frozen_credentials()
        except _NO_CREDENTIALS as error:
            raise _lost(error) from error
        self._credentials, self._keys = credentials, (frozen.access_key, frozen.token)

    async def _renew(self, generation: int) -> bool:
        """Whether there are other credentials now than those of ``generation``."""
        async with self._renewing:
            if self._generation == generation:
                expired = self._keys
                await self._find_credentials(self._make_session())
                if self._keys == expired:
                    return False
                self._generation += 1
            return True

    def _served_us(self, date: str) -> int:
        if date != self._date[0]:
            try:
                self._date = (date, int(parsedate_to_datetime(date).timestamp()) * 1_000_000)
            except (ValueError, TypeError):
                self._date = (date, 0)
        self._latest_us = self._date[1] or self._wall_us()
        return self._latest_us


def _lost(error: Exception) -> CredentialsLost:
    return CredentialsLost(f"no AWS credentials can be used: {' '.join(str(error).split())}")
