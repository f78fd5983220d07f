"""A server of canned pages, so fast that what is measured is the client: a process of its own, over HTTP and TLS.

It answers the four list calls as the emulator does on the wire, but makes every body at its start, checks no signature
and knows no quota. One process serves several worlds, each below the path of its name:

- ``/long``: 100 participants of ten pages each
- ``/short``: 1,000 participants of one page each
- ``/tiny``: ten participants of two pages each, to see that all works
- ``/empty``: no stage

An event has a name, a participant and a time in UTC, four in five of them to the second; four in five name another
participant, one in fifty exchanges a token, one in a hundred is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parent.parent
_STAGE_ARN = "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEfGhIjKl"
_PAGE_EVENTS = 100
_SESSIONS = 10
#: The sessions begin one after the other from here on, so that they lie on two UTC dates, as a night's do.
_FIRST_START = datetime(2026, 1, 14, 13, 0, tzinfo=UTC)
_SESSION_LENGTH = timedelta(hours=2)
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many units a world has, and how many full pages each of them."""

    units: int
    pages: int

    @property
    def events(self) -> int:
        """The events of all units together."""
        return self.units * self.pages * _PAGE_EVENTS


#: The worlds by name.
SHAPES = {"long": Shape(100, 10), "short": Shape(1_000, 1), "tiny": Shape(10, 2), "empty": Shape(0, 0)}


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the server is: its URLs, ``plain`` and ``tls``, and the certificate to trust for the latter."""

    urls: dict[str, str]
    certificate: Path


class _Asked(msgspec.Struct, frozen=True, rename="camel"):
    """What a request asks for; of its members, those that choose the answer."""

    stage_arn: str = ""
    session_id: str = ""
    participant_id: str = ""
    next_token: str = ""


_Answers = dict[tuple[str, _Asked], bytes]


@contextmanager
def page_server() -> Iterator[Serving]:
    """The server in a process of its own, ready."""
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder:
        certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        _make_certificate(certificate, key)
        process = subprocess.Popen(  # noqa: S603 - our own
            (sys.executable, "-m", "benchmarks.page_server", str(certificate), str(key)),
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None, "it is a pipe"  # noqa: S101 - for the type checker
            plain_url, tls_url = process.stdout.readline().split()
            yield Serving({"plain": plain_url, "tls": tls_url}, certificate)
        finally:
            process.terminate()
            process.communicate()


def units(world: str) -> list[dict[str, str]]:
    """The participants of a world, each with its stage and session."""
    shape, ids = SHAPES[world], random.Random(world)  # noqa: S311 - made-up data
    sessions = ["st-" + "".join(ids.choices(_ID_LETTERS, k=13)) for _ in range(_SESSIONS)]
    return [
        {
            "stageArn": _STAGE_ARN,
            "sessionId": sessions[number % _SESSIONS],
            "participantId": "".join(ids.choices(_ID_LETTERS, k=12)),
        }
        for number in range(shape.units)
    ]


def _answers(world: str) -> _Answers:
    """Every answer that a world has."""
    all_units, pages, draws = units(world), SHAPES[world].pages, random.Random(world)  # noqa: S311 - made-up data
    of_session: dict[str, list[str]] = {}
    for unit in all_units:
        of_session.setdefault(unit["sessionId"], []).append(unit["participantId"])
    answers: _Answers = {}
    _list(
        answers,
        "ListStages",
        "stages",
        _Asked(),
        [[{"arn": _STAGE_ARN, "name": "main", "tags": {}}]] if of_session else [],
    )
    starts = {session: _FIRST_START + place * _SESSION_LENGTH for place, session in enumerate(of_session)}
    shown = [
        {"sessionId": session, "startTime": _text(start), "endTime": _text(start + _SESSION_LENGTH)}
        for session, start in starts.items()
    ]
    _list(answers, "ListStageSessions", "stageSessions", _Asked(_STAGE_ARN), [shown])
    for session, participants in of_session.items():
        listed = [[_participant(each, starts[session]) for each in participants]]
        _list(answers, "ListParticipants", "participants", _Asked(_STAGE_ARN, session), listed)
        for participant in participants:
            events = _events(draws, participant, participants, starts[session], pages * _PAGE_EVENTS)
            cut = [events[first : first + _PAGE_EVENTS] for first in range(0, len(events), _PAGE_EVENTS)]
            _list(answers, "ListParticipantEvents", "events", _Asked(_STAGE_ARN, session, participant), cut)
    return answers


def _list(answers: _Answers, operation: str, member: str, asked: _Asked, pages: list[list[Any]]) -> None:
    """Add the answers of one list, page by page."""
    tokens = ["", *(_page_token(asked, place) for place in range(1, len(pages))), ""]
    for page, (token, following) in zip(pages or [[]], pairwise(tokens), strict=True):
        body = {member: page} | ({"nextToken": following} if following else {})
        answers[operation, msgspec.structs.replace(asked, next_token=token)] = msgspec.json.encode(body)


def _page_token(asked: _Asked, place: int) -> str:
    return sha256(f"{asked} {place}".encode()).hexdigest() * 2


def _participant(participant_id: str, start: datetime) -> dict[str, Any]:
    return {
        "participantId": participant_id,
        "userId": f"user-{participant_id.lower()}",
        "state": "DISCONNECTED",
        "firstJoinTime": _text(start),
        "published": False,
        "recordingState": "DISABLED",
        "replicationType": "NONE",
    }


def _events(
    draws: random.Random, participant_id: str, others: list[str], start: datetime, count: int
) -> list[dict[str, Any]]:
    """A participant's events, oldest first: it joins, watches others come and go, and leaves."""
    names = ["JOINED", *(_inner_name(draws) for _ in range(count - 2)), "LEFT"]
    step = _SESSION_LENGTH / (count + 1)
    events = []
    for place, name in enumerate(names, 1):
        moment = start + step * place
        time_text = _text(moment, draws.choices(("seconds", "milliseconds"), weights=(4, 1))[0])
        event: dict[str, Any] = {"name": name, "participantId": participant_id, "eventTime": time_text}
        if name.startswith("SUBSCRIBE"):
            event |= {"remoteParticipantId": draws.choice(others), "replica": False}
        if name == "SUBSCRIBE_ERROR":
            event["errorCode"] = "PUBLISHER_NOT_FOUND"
        if name == "TOKEN_EXCHANGED":
            event |= {"previousToken": _token(participant_id, moment), "newToken": _token(participant_id, moment)}
        events.append(event)
    return events


def _inner_name(draws: random.Random) -> str:
    names = ("SUBSCRIBE_STARTED", "SUBSCRIBE_STOPPED", "PUBLISH_STARTED", "TOKEN_EXCHANGED", "SUBSCRIBE_ERROR")
    return draws.choices(names, weights=(40, 40, 17, 2, 1))[0]


def _token(participant_id: str, moment: datetime) -> dict[str, Any]:
    return {
        "capabilities": ["PUBLISH", "SUBSCRIBE"],
        "attributes": {"displayName": participant_id, "plan": "gold"},
        "userId": f"user-{participant_id.lower()}",
        "expirationTime": _text(moment + timedelta(hours=12)),
    }


def _text(moment: datetime, digits: str = "seconds") -> str:
    return moment.isoformat(timespec=digits).removesuffix("+00:00") + "Z"


def _make_certificate(certificate: Path, key: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself."""
    subprocess.run(  # noqa: S603 - fixed words
        (
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ),
        check=True,
        capture_output=True,
    )


async def _serve(certificate: str, key: str) -> None:
    answers: dict[str, dict[_Asked, bytes]] = {
        f"/{world}/{operation}": {} for world in SHAPES for operation in _OPERATIONS
    }
    for world in SHAPES:
        for (operation, asked), body in _answers(world).items():
            answers[f"/{world}/{operation}"][asked] = body
    decode = msgspec.json.Decoder(_Asked).decode

    async def handle(request: web.BaseRequest) -> web.Response:
        try:
            body = answers[request.path][decode(await request.read())]
        except (KeyError, msgspec.MsgspecError):
            return web.Response(status=404, headers={"x-amzn-ErrorType": "ResourceNotFoundException"})
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    for tls in (None, context):
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    plain, tls_port = (address[1] for address in runner.addresses)
    sys.stdout.write(f"http://127.0.0.1:{plain} https://127.0.0.1:{tls_port}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await runner.cleanup()


_OPERATIONS = ("ListStages", "ListStageSessions", "ListParticipants", "ListParticipantEvents")


if __name__ == "__main__":
    _parser = argparse.ArgumentParser()
    _parser.add_argument("certificate")
    _parser.add_argument("key")
    _given = _parser.parse_args()
    asyncio.run(_serve(_given.certificate, _given.key))
