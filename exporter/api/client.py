"""One attempt at a call: aioboto3 finds the credentials and the endpoint and signs; the body that came is read here.

The raw answer is taken in botocore's public ``before-parse`` event, before its parser can drop anything from it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.config import AioConfig
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter import __version__
from exporter.api.answers import Page, read_page, read_refusal
from exporter.errors import CredentialsLost, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aioboto3

    from exporter.api.operations import Operation
    from exporter.settings import HttpSettings

_SERVICE = "ivs-realtime"
_RAW = "ivs_export_raw"
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.ProfileNotFound,
)


class Client:
    """IVS Real-Time in one region, as an asynchronous context manager.

    ``make_session`` makes an aioboto3 session; it is called again only when the credentials have expired, so that
    rotated keys in a file or a new role session are found. ``wall_us`` is the local clock in microseconds since the
    epoch, used where an answer carries no ``Date``.
    """

    def __init__(
        self,
        make_session: Callable[[], aioboto3.Session],
        region: str,
        http: HttpSettings,
        *,
        connections: int,
        wall_us: Callable[[], int],
    ) -> None:
        self._make_session = make_session
        self._region = region
        self._wall_us = wall_us
        self._config = AioConfig(
            connect_timeout=http.connect_timeout_s,
            read_timeout=http.read_timeout_s,
            max_pool_connections=connections,
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            user_agent_extra=f"ivs-export/{__version__}",
        )
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._keys: tuple[str | None, ...] = ()
        self._generation = 0
        self._renewing = asyncio.Lock()
        self._date = ("", 0)
        self._latest_us = 0

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

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
            parsed = await getattr(self._client, operation.method)(**params)
        except aws.ClientError as error:
            if _RAW not in error.response:  # from the chain of credentials: STS refuses a role, say
                raise CredentialsLost(f"no AWS credentials can be used: {error}") from error
            status, headers, body = error.response[_RAW]
            raise read_refusal(operation, status, headers, body, datetime.fromtimestamp(self._now_s(), UTC)) from error
        except _NO_CREDENTIALS as error:
            raise CredentialsLost(f"no AWS credentials can be used: {error}") from error
        except (aws.HTTPClientError, ResponseParserError, OSError) as error:
            raise Transient(f"{operation}: {type(error).__name__} in {self._region}") from error
        _, headers, body = parsed[_RAW]
        return read_page(operation, body, self._served_us(headers))

    async def _open(self) -> None:
        try:
            session = self._make_session()
            client = session.client(_SERVICE, region_name=self._region, config=self._config)
            self._client = await self._stack.enter_async_context(client)
            self._client.meta.events.register(f"before-parse.{_SERVICE}", _keep_raw)
            self._keys = await _keys_of(session)
        except (*_NO_CREDENTIALS, aws.ClientError) as error:
            raise CredentialsLost(f"no AWS credentials can be used: {error}") from error

    async def _renew(self, generation: int) -> bool:
        """Whether there are other credentials now than those of ``generation``. Calls in flight keep the old client."""
        async with self._renewing:
            if self._generation == generation:
                expired = self._keys
                await self._open()
                if self._keys == expired:
                    return False
                self._generation += 1
            return True

    def _served_us(self, headers: Mapping[str, str]) -> int:
        text = headers.get("date", "")
        if text != self._date[0]:
            try:
                self._date = (text, int(parsedate_to_datetime(text).timestamp()) * 1_000_000)
            except (ValueError, TypeError):
                self._date = (text, 0)
        self._latest_us = self._date[1] or self._wall_us()
        return self._latest_us

    def _now_s(self) -> float:
        return self._wall_us() / 1_000_000


def _keep_raw(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict["body"]
    customized_response_dict[_RAW] = (response_dict["status_code"], response_dict["headers"], body)
    if response_dict["status_code"] < 300:  # noqa: PLR2004 - where botocore draws the line to errors, too
        response_dict["body"] = b"{}"


async def _keys_of(session: aioboto3.Session) -> tuple[str | None, ...]:
    credentials = await session.get_credentials()
    if credentials is None:
        raise CredentialsLost(
            "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run"
            " where a role gives them"
        )
    frozen = await credentials.get_frozen_credentials()
    return (frozen.access_key, frozen.token)
