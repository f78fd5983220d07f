"""The way to S3: one client, and the one place where its calls are bounded, tried again and translated."""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from exporter import __version__
from exporter.aws.endpoints import check_endpoint, check_endpoint_settings
from exporter.aws.errors import reading_configuration
from exporter.errors import CredentialsLost, LakeBusy, LakeRefused
from exporter.lake.stores.s3.answers import NotOfS3, check_parsed, check_raw
from exporter.lake.stores.s3.errors import Conflict, Expired, S3Call, translated, without_credentials
from exporter.lake.stores.s3.http import BoundedSession
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aioboto3

Result = TypeVar("Result")
#: An access key's id, and the session's token where it has one.
Keys = tuple[str, str | None] | None

_CONNECTIONS = 32
_WAIT_FIRST_S = 0.2
_WAIT_S_MAX = 5.0
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How long S3 is waited for: an attempt's parts, a whole attempt, and all attempts of a call together.

    And how large a record and a file may be that is read: larger ones than the exporter ever makes.
    """

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    attempt_timeout_s: float = 180.0
    attempts: int = 6
    attempts_s: float = 240.0
    record_bytes: int = 256 << 20
    file_bytes: int = 1 << 30


class S3Calls:
    """Calls to one bucket; an asynchronous context manager. ``members`` go with each call.

    Passing faults are tried again with full jitter, bounded by attempts and by time, and then raised as
    :class:`LakeBusy`. botocore's own retries are off. ``renewed`` gives another session than before; it is asked when
    the credentials have expired, and where it has others, the call is tried again with those. ``wall_s`` is the local
    time, in seconds since the epoch, which errors set beside S3's.

    Whatever is raised by botocore, by what it stands on, or by a provider of credentials, becomes an error of the
    lake's here: its classes are too many to name.
    """

    def __init__(
        self,
        session: aioboto3.Session,
        bucket: str,
        members: Mapping[str, str],
        limits: Limits,
        sleep: Callable[[float], Awaitable[None]],
        *,
        renewed: Callable[[], aioboto3.Session] | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._wall_s = wall_s
        self._host = ""
        self._renewed = renewed
        self._bucket = bucket
        self._members = {"Bucket": bucket, **members}
        self._limits = limits
        self._sleep = sleep
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._keys: Keys = None
        self._generation = 0
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open the client. Raises :class:`UsageError` where its endpoint is no URL, or holds a password."""
        check_endpoint_settings("S3")
        try:
            keys = await _keys_of(self._session)
        except Exception as error:
            raise without_credentials(error, self._told("credentials")) from error
        with reading_configuration("no way to S3"):
            await self._open(self._session, keys)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    async def _open(self, session: aioboto3.Session, keys: Keys) -> None:
        config = AioConfig(
            connect_timeout=self._limits.connect_timeout_s,
            read_timeout=self._limits.read_timeout_s,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1},
            # S3 checks the body against its signature. botocore's CRC of each part would say the same, but would have
            # to be kept in the handle and said again when the upload is completed, perhaps by another process.
            s3={"payload_signing_enabled": True},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=f"ivs-export/{__version__}",
            http_session_cls=BoundedSession,
        )
        client = await self._stack.enter_async_context(session.client("s3", config=config))
        endpoint = client.meta.endpoint_url
        check_endpoint(endpoint, "the profile's endpoint_url")  # a variable's was checked before
        self._host = urlsplit(endpoint).netloc
        client.meta.events.register("before-parse.s3", _check_raw)
        self._session, self._client, self._keys = session, client, keys

    async def call(self, method: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - S3's own
        """The answer of one of the client's methods, by its name. A ``Body`` goes with its MD5.

        Raises `Missing`, `Taken` (see :mod:`exporter.lake.stores.s3.errors`), :class:`LakeBusy` and
        :class:`LakeRefused`.
        """
        # Else SeaweedFS 4 takes a body for empty, and keeps that, where its writer dies between the head and the body.
        if "Body" in members:
            members["ContentMD5"] = _md5(members["Body"])

        async def act() -> dict[str, Any]:
            answer: dict[str, Any] = await getattr(self._client, method)(**self._members, **members)
            check_parsed(method, answer, members.get("Prefix", ""))
            return answer

        return await self._try(act, method, members.get("Key", ""))

    async def get(self, key: str, size_bytes_max: int, **members: str) -> bytes:
        """An object's body: the whole, or the part that ``members`` ask for.

        Raises as `call`, and :class:`LakeRefused` where it is larger than may be.
        """

        async def act() -> bytes:
            answer = await self._client.get_object(**self._members, Key=key, **members)
            pieces: list[bytes] = []
            left_bytes = size_bytes_max
            stream = answer["Body"]
            async with stream:
                check_parsed("get_object", answer, "")
                while piece := await stream.read(_PIECE_BYTES):
                    left_bytes -= len(piece)
                    if left_bytes < 0:
                        raise LakeRefused(f"s3://{self._bucket}: {key} is larger than {size_bytes_max >> 20} MiB")
                    pieces.append(piece)
            return b"".join(pieces)

        return await self._try(act, "get_object", key)

    async def _try(self, act: Callable[[], Awaitable[Result]], method: str, key: str) -> Result:
        async def attempt() -> Result:
            generation, meaning = self._generation, without_credentials
            try:
                async with asyncio.timeout(self._limits.attempt_timeout_s):
                    await _keys_of(self._session)  # so that what a provider raises is not taken for S3's
                    meaning = translated
                    return await act()
            except Exception as error:
                told = meaning(error, self._told(method, key))
                if isinstance(told, Expired) and await self._renew(generation):
                    told = LakeBusy(f"s3://{self._bucket}: the credentials had expired and were read anew")
                raise told from error

        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type((LakeBusy, Conflict)),
            stop=stop_after_attempt(self._limits.attempts) | stop_after_delay(self._limits.attempts_s),
            wait=wait_random_exponential(multiplier=_WAIT_FIRST_S, max=_WAIT_S_MAX),
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except Conflict as error:
            raise LakeBusy(str(error)) from error

    async def _renew(self, generation: int) -> bool:
        """Whether there are other credentials now than those of ``generation``. Calls in flight keep the old client."""
        async with self._renewing:
            if self._generation == generation and self._renewed is not None:
                try:
                    session = self._renewed()
                    keys = await _keys_of(session)
                    if keys not in (None, self._keys):
                        await self._open(session, keys)
                        self._generation += 1
                except CredentialsLost as error:
                    raise LakeRefused(f"s3://{self._bucket}: {error}") from error
                except Exception as error:
                    raise without_credentials(error, self._told("credentials")) from error
            return self._generation != generation

    def _told(self, method: str, key: str = "") -> S3Call:
        """What an error says of a call."""
        return S3Call(self._bucket, method, key, self._host, int(self._wall_s()) * SECOND_US)


def _check_raw(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 - botocore's own
    """Let no answer be parsed that is not S3's."""
    name, body = operation_model.name, response_dict["body"]
    is_read = isinstance(body, bytes)
    try:
        is_there = is_read and not name.startswith("Head")
        check_raw(name, response_dict["status_code"], response_dict["headers"], body if is_there else None)
    except NotOfS3:
        if not is_read:
            body.close()
        raise


def _md5(body: bytes) -> str:
    return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


async def _keys_of(session: aioboto3.Session) -> Keys:
    """What tells credentials from others; None where there are none."""
    credentials = await session.get_credentials()
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return frozen.access_key, frozen.token
