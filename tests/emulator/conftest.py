from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aioboto3
from aiobotocore.config import AioConfig

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from exporter.emulator import Emulator

ClientMaker = "Callable[..., AbstractAsyncContextManager[Any]]"


@pytest.fixture
def client_of() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Makes real clients of an emulator, which try each call once."""

    @asynccontextmanager
    async def open_client(
        emulator: Emulator,
        *,
        key: str = "emulator",
        secret: str = "emulator",
        token: str | None = None,
        region: str = "us-east-1",
        read_timeout_s: float = 5.0,
    ) -> AsyncIterator[Any]:
        session = aioboto3.Session(
            aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token, region_name=region
        )
        config = AioConfig(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=read_timeout_s)
        async with session.client("ivs-realtime", endpoint_url=emulator.url, config=config) as client:
            yield client

    return open_client
