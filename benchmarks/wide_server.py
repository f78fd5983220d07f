"""A server of one stage with wide events: each has a text of some thousand letters, and no two texts are alike.

It answers the four list calls as the emulator does on the wire, makes each page when it is asked for, checks no
signature and knows no quota. It is a process of its own, and takes as much memory as one page.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import shake_128
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parent.parent
_STAGE_ARN = "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEfGhIjKl"
_SESSION_ID = "st-AbCdEfGhIjKlM"
_START = datetime(2026, 1, 14, 13, 0, tzinfo=UTC)
_END = _START + timedelta(hours=2)
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Width:
    """So many ``units`` in one session, of so many ``events`` each, with so many letters in each text."""

    units: int
    events: int
    letters: int


class _Asked(msgspec.Struct, frozen=True, rename="camel"):
    participant_id: str = ""
    next_token: str = ""


@contextmanager
def wide_server(width: Width) -> Iterator[str]:
    """The server in a process of its own, by its URL."""
    words = (sys.executable, "-m", "benchmarks.wide_server", *map(str, (width.units, width.events, width.letters)))
    process = subprocess.Popen(words, cwd=_ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        assert process.stdout is not None, "it is a pipe"  # noqa: S101 - for the type checker
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def _answer(width: Width, operation: str, asked: _Asked) -> dict[str, Any]:
    start = int(asked.next_token or "0")
    if operation == "ListStages":
        return {"stages": [{"arn": _STAGE_ARN}]}
    if operation == "ListStageSessions":
        times = {"startTime": _START.isoformat(), "endTime": _END.isoformat()}
        return {"stageSessions": [{"sessionId": _SESSION_ID, **times}]}
    count = width.units if operation == "ListParticipants" else width.events
    end = min(start + _PAGE, count)
    more = {"nextToken": str(end)} if end < count else {}
    if operation == "ListParticipants":
        return {"participants": [{"participantId": f"p{number}"} for number in range(start, end)], **more}
    return {"events": [_event(width, asked.participant_id, number) for number in range(start, end)], **more}


def _event(width: Width, participant_id: str, number: int) -> dict[str, str]:
    moment = _START + timedelta(milliseconds=number)
    text = shake_128(f"{participant_id} {number}".encode()).hexdigest(width.letters // 2)
    return {"name": "JOINED", "participantId": participant_id, "eventTime": moment.isoformat(), "unheardOf": text}


async def _serve(width: Width) -> None:
    decode, encode = msgspec.json.Decoder(_Asked).decode, msgspec.json.Encoder().encode

    async def handle(request: web.BaseRequest) -> web.Response:
        answer = _answer(width, request.path.strip("/"), decode(await request.read()))
        return web.Response(body=encode(answer), content_type="application/json")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(Width(*map(int, sys.argv[1:]))))
