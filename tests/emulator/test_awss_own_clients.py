"""AWS's own clients read all that the emulator has, page by page, and show its refusals as they show AWS's."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import warnings
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from exporter.emulator import EmulatorOptions, EmulatorThread, QuotaOptions, ServiceOptions, Size
from exporter.timestamps import read_us
from tests.support.environment import bare_environment
from tests.support.worlds import world_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Asks for an operation's answer, by the API's names.
    Call = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / ".node" / "node_modules"
SCRIPT = Path(__file__).parent / "clients" / "list_everything.cjs"
OWN, FOREIGN = (f"arn:aws:ivs:us-east-1:{account}:stage/nothing" for account in ("111122223333", "999922223333"))


class RefusedError(Exception):
    """A refused call, as its client shows it."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorThread]:
    world = world_options(
        stages=2,
        sessions=Size.fixed(2),
        participants=Size.fixed(4),
        events=Size(2, 60, 250),
        active_share=0.0,
        zoneless=False,
    )
    with EmulatorThread(EmulatorOptions(world, service=ServiceOptions(QuotaOptions(1e6, 10**6)))) as emulator:
        yield emulator


@pytest.fixture
def own_keys(emulator: EmulatorThread, monkeypatch: pytest.MonkeyPatch) -> None:
    package = find_spec("awscli")
    assert package is not None
    data = Path(str(package.origin)).parent / "data"  # the command line's own, which its first import sets
    own = {"AWS_MAX_ATTEMPTS": "1", "AWS_DATA_PATH": str(data)}
    for name, value in (emulator.environment | own).items():
        monkeypatch.setenv(name, value)


def by_boto3() -> Call:
    client = boto3.Session().client("ivs-realtime")  # boto3's own session keeps the first keys that it finds

    def call(operation: str, **members: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**members)
        except ClientError as error:
            raise RefusedError(f"{error} {error.response.get('exceptionMessage', '')}") from None
        return answer

    return call


def by_command_line() -> Call:
    """The AWS CLI in this process: its own entry point, without the half second that each start takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of Python 3.14, in the AWS CLI's own text
        from awscli.clidriver import create_clidriver  # noqa: PLC0415 - half a second

        driver = create_clidriver()

    def call(operation: str, **members: Any) -> dict[str, Any]:
        command = ["ivs-realtime", xform_name(operation, "-"), "--output", "json"]
        for name, value in members.items():
            command += [f"--{xform_name(name, '-')}", str(value)]
        printed, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(complained):
            code = driver.main(command)
        if code:
            raise RefusedError(complained.getvalue())
        answer: dict[str, Any] = json.loads(printed.getvalue())
        return answer

    return call


CLIENTS = {"boto3": by_boto3, "aws": by_command_line}


def whole(call: Call, operation: str, member: str, size: int, **members: Any) -> Iterator[Any]:
    """A list from its first page to its last."""
    page = call(operation, maxResults=size, **members)
    yield from page[member]
    while token := page.get("nextToken"):
        page = call(operation, maxResults=size, nextToken=token, **members)
        yield from page[member]


def everything(call: Call) -> Iterator[tuple[str, str, str, str, int]]:
    """Each event that a client reads, with its unit and its time in milliseconds."""
    for stage in whole(call, "ListStages", "stages", 1):
        arn = {"stageArn": stage["arn"]}
        for session in whole(call, "ListStageSessions", "stageSessions", 1, **arn):
            ids = {**arn, "sessionId": session["sessionId"]}
            for participant in whole(call, "ListParticipants", "participants", 3, **ids):
                unit = {**ids, "participantId": participant["participantId"]}
                shown = call("GetParticipant", **unit)["participant"]
                assert shown["participantId"] == participant["participantId"]
                for event in whole(call, "ListParticipantEvents", "events", 100, **unit):
                    yield (*unit.values(), event["name"], milliseconds(event["eventTime"]))


def milliseconds(time: Any) -> int:
    micros = read_us(time if isinstance(time, str) else time.isoformat())
    assert micros is not None
    return micros // 1000


def truth(emulator: EmulatorThread) -> Counter[tuple[Any, ...]]:
    return Counter(
        (
            *(row["stage_arn"], row["session_id"], row["participant_id"]),
            *(row["event"]["name"], milliseconds(row["event"]["eventTime"])),
        )
        for row in emulator.truth()
    )


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("own_keys")
def test_a_client_reads_everything(emulator: EmulatorThread, client: str) -> None:
    """Page by page, each event of the truth as often as it is there, and no other."""
    expected = truth(emulator)
    assert max(Counter(unit[:3] for unit in expected.elements()).values()) > 100  # more than a page
    assert Counter(everything(CLIENTS[client]())) == expected


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("own_keys")
def test_a_client_shows_refusals(emulator: EmulatorThread, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal has its name, and its text wherever the client shows one."""
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("ResourceNotFoundException", "ListStageSessions", {"stageArn": OWN}),
        ("AccessDeniedException", "ListStageSessions", {"stageArn": FOREIGN}),
        ("ValidationException", "ListStages", {"nextToken": "damaged"}),
        ("AccessDeniedException", "CreateStage", {"name": "mine"}),
    ]
    call = CLIENTS[client]()
    for code, operation, members in cases:
        with pytest.raises(RefusedError, match=code):
            call(operation, **members)
    emulator.set_faults("throttle operation=ListStages")
    with pytest.raises(RefusedError, match=r"ThrottlingException.*Rate exceeded"):
        call("ListStages")
    emulator.set_faults()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(RefusedError, match=r"InvalidSignatureException.*does not match the signature you provided"):
        CLIENTS[client]()("ListStages")


@pytest.mark.skipif(
    shutil.which("node") is None or not NODE_MODULES.is_dir(), reason="needs Node.js and scripts/setup javascript"
)
def test_javascript_reads_everything(emulator: EmulatorThread) -> None:
    """AWS's SDK for JavaScript reads the same, times included, and shows the same refusals."""
    environment = bare_environment(emulator.environment, {"NODE_PATH": str(NODE_MODULES)})
    ended = subprocess.run(
        [str(shutil.which("node")), str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert Counter(map(tuple, shown["events"])) == truth(emulator)
    assert {what: tuple(found[:2]) for what, found in shown["refusals"].items()} == {
        "unknown": (404, "ResourceNotFoundException"),
        "foreign": (403, "AccessDeniedException"),
        "token": (400, "ValidationException"),
        "write": (403, "AccessDeniedException"),
    }
    assert "not authorized" in shown["refusals"]["write"][2]
