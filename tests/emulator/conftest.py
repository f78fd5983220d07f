from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aioboto3
import aiohttp
import pytest
from aiobotocore.config import AioConfig
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from exporter.emulator import Size
from tests.support.exports import options_of as standing_still
from tests.support.worlds import world_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.emulator import Emulator, EmulatorOptions

#: A Monday, and a small world of the week before it.
NOW_US = 1_764_547_200_000_000
#: The refusals of the service itself that are met here; all others come from what stands before it.
MODELLED = {"ValidationException", "AccessDeniedException", "ResourceNotFoundException"}


class Asker:
    """Asks an emulator with botocore's own signature, and shows what came as it came."""

    def __init__(self, emulator: Emulator, http: aiohttp.ClientSession) -> None:
        self.emulator = emulator
        self.http = http
        self.keys = Credentials("emulator", "emulator")

    def sign(self, operation: str, body: bytes, region: str = "us-east-1", service: str = "ivs") -> AWSRequest:
        request = AWSRequest(
            "POST", f"{self.emulator.url}/{operation}", data=body, headers={"Content-Type": "application/json"}
        )
        SigV4Auth(self.keys, service, region).add_auth(request)
        return request

    async def send(self, request: AWSRequest) -> tuple[int, Any, bytes]:
        async with self.http.post(request.url, data=request.data, headers=dict(request.headers)) as response:
            return response.status, response.headers, await response.read()

    async def raw(self, operation: str, **members: Any) -> tuple[int, Any, bytes]:
        return await self.send(self.sign(operation, json.dumps(members).encode()))

    async def page(self, operation: str, **members: Any) -> dict[str, Any]:
        status, _, body = await self.raw(operation, **members)
        assert status == 200, body[:300]
        page: dict[str, Any] = json.loads(body)
        return page

    async def refusal(self, operation: str, **members: Any) -> tuple[int, str]:
        status, headers, body = await self.raw(operation, **members)
        code: str = headers["x-amzn-ErrorType"]
        is_modelled = code in MODELLED
        assert set(json.loads(body)) == {"exceptionMessage" if is_modelled else "message"}
        return status, code

    async def whole(self, operation: str, member: str, **members: Any) -> list[Any]:
        """Every item of a list, page by page."""
        items: list[Any] = []
        while True:
            page = await self.page(operation, **members)
            items += page[member]
            if "nextToken" not in page:
                return items
            members["nextToken"] = page["nextToken"]

    async def everything(self, page_size: int = 100) -> list[tuple[str, str, str, Any]]:
        """Every event that the API shows, as the emulator's truth has it."""
        size = {"maxResults": page_size}
        events = []
        for stage in await self.whole("ListStages", "stages", **size):
            arn = {"stageArn": stage["arn"]}
            for session in await self.whole("ListStageSessions", "stageSessions", **arn, **size):
                ids = {**arn, "sessionId": session["sessionId"]}
                for participant in await self.whole("ListParticipants", "participants", **ids, **size):
                    unit = {**ids, "participantId": participant["participantId"]}
                    found = await self.whole("ListParticipantEvents", "events", **unit, **size)
                    events += [(*unit.values(), event) for event in found]
        return events


@pytest.fixture
async def ask() -> AsyncIterator[Callable[[Emulator], Asker]]:
    async with aiohttp.ClientSession() as http:
        yield lambda emulator: Asker(emulator, http)


@pytest.fixture
def options_of() -> Callable[..., EmulatorOptions]:
    """Options of a small world at a moment that stands still, with a quota that is no hindrance."""

    def make(world: dict[str, Any] | None = None, **changes: Any) -> EmulatorOptions:
        small = {"sessions": Size(2, 3, 6), "participants": Size(2, 8, 40), "events": Size(0, 16, 300)}
        return standing_still(world_options(**{**small, **(world or {})}), start_us=NOW_US, **changes)

    return make


@pytest.fixture
def client_of() -> Callable[..., Any]:
    """Makes aioboto3 clients of an emulator that try each call once."""

    @asynccontextmanager
    async def open_client(emulator: Emulator, read_timeout_s: float = 5.0, **keys: str) -> AsyncIterator[Any]:
        own = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator", "region_name": "us-east-1"}
        config = AioConfig(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=read_timeout_s)
        session = aioboto3.Session(**{**own, **keys})
        async with session.client("ivs-realtime", endpoint_url=emulator.url, config=config) as client:
            yield client

    return open_client
