"""The least that anybody could do: aiohttp without a signature, msgspec, all rows in memory, one file at the end.

(pyarrow's own reader of JSON costs more than msgspec and columns made of what it gives.)
"""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import datetime  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Any, TypedDict

import aiohttp
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.task import CONCURRENCY, MICROS, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.task import Task, Unit

_TOKEN = pa.struct(
    {
        "capabilities": pa.list_(pa.string()),
        "attributes": pa.map_(pa.string(), pa.string()),
        "userId": pa.string(),
        "expirationTime": MICROS,
    }
)


class _Token(TypedDict, total=False):
    capabilities: list[str]
    attributes: dict[str, str]
    userId: str
    expirationTime: datetime


class _Event(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    event_time: str | None = None
    remote_participant_id: str | None = None
    error_code: str | None = None
    destination_stage_arn: str | None = None
    destination_session_id: str | None = None
    replica: bool | None = None
    previous_token: _Token | None = None
    new_token: _Token | None = None


class _Page(msgspec.Struct, rename="camel", gc=False):
    events: list[_Event]
    next_token: str | None = None


_decode = msgspec.json.Decoder(_Page).decode
_Fetched = list[tuple["Unit", list[_Event]]]


async def _fetch(told: Task) -> _Fetched:
    tls = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]) if told.url.startswith("https") else True
    fetched: _Fetched = []
    units = iter(told.units)
    connector = aiohttp.TCPConnector(ssl=tls, limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(_work(session, f"{told.url}/ListParticipantEvents", units, fetched))
    return fetched


async def _work(session: aiohttp.ClientSession, url: str, units: Iterator[Unit], fetched: _Fetched) -> None:
    for unit in units:
        asked: dict[str, Any] = {**unit, "maxResults": 100}
        while True:
            async with session.post(url, data=msgspec.json.encode(asked)) as answer:
                page = _decode(await answer.read())
            fetched.append((unit, page.events))
            if page.next_token is None:
                break
            asked["nextToken"] = page.next_token


def _table(fetched: _Fetched) -> pa.Table:
    events = [event for _, page in fetched for event in page]
    page_of = pa.array([place for place, (_, page) in enumerate(fetched) for _ in page], pa.int32())
    columns = {
        name: pa.array([unit[name] for unit, _ in fetched], pa.string()).dictionary_encode().take(page_of)
        for name in ("stageArn", "sessionId", "participantId")
    }
    columns |= {
        "name": pa.array([event.name for event in events], pa.string()),
        "eventTime": pa.array([event.event_time for event in events], pa.string()).cast(MICROS),
        "remoteParticipantId": pa.array([event.remote_participant_id for event in events], pa.string()),
        "errorCode": pa.array([event.error_code for event in events], pa.string()),
        "destinationStageArn": pa.array([event.destination_stage_arn for event in events], pa.string()),
        "destinationSessionId": pa.array([event.destination_session_id for event in events], pa.string()),
        "replica": pa.array([event.replica for event in events], pa.bool_()),
        "previousToken": pa.array([event.previous_token for event in events], _TOKEN),
        "newToken": pa.array([event.new_token for event in events], _TOKEN),
    }
    return pa.table(columns)


def _export(told: Task) -> None:
    fetched = asyncio.run(_fetch(told))
    if fetched:
        pq.write_table(_table(fetched), told.folder / "events" / "0.parquet", compression="zstd")


if __name__ == "__main__":
    _export(task())
