"""One attempt at a call to S3: aioboto3's client, opened, and opened anew where its credentials have expired."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig

from exporter import __version__
from exporter.aws.endpoints import check_endpoint, check_endpoint_settings
from exporter.aws.errors import reading_configuration
from exporter.errors import CredentialsLost, LakeRefused
from exporter.lake.stores.s3.answers import NotOfS3, check_parsed, check_raw
from exporter.lake.stores.s3.errors import S3Call, without_credentials
from exporter.lake.stores.s3.http import BoundedSession
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aioboto3

    from exporter.lake.stores.s3.calls import S3Request

_CONNECTIONS = 32
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


class S3Client:
    """Sends each request once, to one bucket; an asynchronous context manager. ``members`` go with each request.

    Raises what botocore raises, or what that stands on, and :class:`NotOfS3`: `Translating` gives them their meaning.
    botocore's own retries are off. ``renewed`` makes another session than before, once the credentials have expired.
    ``wall_s`` is the local time, in seconds since the epoch, which errors set beside S3's.
    """

    def __init__(
        self,
        session: aioboto3.Session,
        bucket: str,
        members: Mapping[str, str],
        limits: Limits,
        *,
        renewed: Callable[[], aioboto3.Session] | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._bucket = bucket
        self._members = {"Bucket": bucket, **members}
        self._limits = limits
        self._renewed = renewed
        self._wall_s = wall_s
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._host = ""
        self._keys: tuple[str, str | None] | None = None

    async def __aenter__(self) -> Self:
        """Open the client. Raises :class:`UsageError` where its endpoint is no URL, or holds a password."""
        check_endpoint_settings("S3")
        try:
            keys = await _keys_of(self._session)
        except Exception as error:
            raise without_credentials(error, self.about("credentials")) from error
        with reading_configuration("no way to S3"):
            await self._open(self._session, keys)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    async def find_credentials(self) -> None:
        """Let botocore find or refresh the credentials. Raises what their provider raises."""
        await _keys_of(self._session)

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send the request and read the answer; see the class for what it raises."""
        members = {**self._members, **request.members}
        # Else SeaweedFS 4 takes a body for empty, and keeps that, where its writer dies between the head and the body.
        if "Body" in members:
            members["ContentMD5"] = b64encode(hashlib.md5(members["Body"], usedforsecurity=False).digest()).decode()
        answer: dict[str, Any] = await getattr(self._client, request.method)(**members)
        if request.size_bytes_max is not None:
            return await self._with_body(request, answer, request.size_bytes_max)
        check_parsed(request.method, answer, members.get("Prefix", ""))
        return answer

    async def opened(self) -> object:
        """Return the client that sends requests now: another object each time that one is opened."""
        return self._client

    async def reopen(self) -> None:
        """Open another client where a new session has other credentials; requests on their way keep the old one.

        Raises :class:`LakeError` where the credentials can't be read.
        """
        if self._renewed is None:
            return
        try:
            session = self._renewed()
            keys = await _keys_of(session)
            if keys not in (None, self._keys):
                await self._open(session, keys)
        except CredentialsLost as error:
            raise LakeRefused(f"s3://{self._bucket}: {error}") from error
        except Exception as error:
            raise without_credentials(error, self.about("credentials")) from error

    def about(self, method: str, key: str = "") -> S3Call:
        """Describe a call that ends now, for an error."""
        return S3Call(self._bucket, method, key, self._host, int(self._wall_s()) * SECOND_US)

    async def _with_body(self, request: S3Request, answer: dict[str, Any], size_bytes_max: int) -> dict[str, Any]:
        """The answer with its body, read; it is closed where that is cut short."""
        pieces: list[bytes] = []
        left_bytes = size_bytes_max
        stream = answer["Body"]
        async with stream:
            check_parsed(request.method, answer, "")
            while piece := await stream.read(_PIECE_BYTES):
                left_bytes -= len(piece)
                if left_bytes < 0:
                    raise LakeRefused(f"s3://{self._bucket}: {request.key} is larger than {size_bytes_max >> 20} MiB")
                pieces.append(piece)
        return {**answer, "Body": b"".join(pieces)}

    async def _open(self, session: aioboto3.Session, keys: tuple[str, str | None] | None) -> None:
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
        client.meta.events.register("before-parse.s3", _check_raw)
        self._host = urlsplit(endpoint).netloc
        self._session, self._client, self._keys = session, client, keys


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


async def _keys_of(session: aioboto3.Session) -> tuple[str, str | None] | None:
    """The access key's id, and the session's token where it has one; None where there are no credentials."""
    credentials = await session.get_credentials()
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return frozen.access_key, frozen.token
