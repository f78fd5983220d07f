"""What doctor says of the way to AWS: each thing is broken alone, and its own check names it."""

from __future__ import annotations

import os
import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from pydantic import SecretStr

from exporter.doctor.watching import METRICS
from exporter.emulator import Account, Emulator, FixedWorld, RoleOptions
from exporter.ivs.operations import Operation
from exporter.settings import AccountSettings, CatalogSettings, TableSettings
from exporter.watch_settings import TelemetrySettings
from tests.support.certificates import own_certificate
from tests.support.exports import options_of, stage_of
from tests.support.servers.raw import raw_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.doctor.check import Check
    from exporter.emulator import WorldOptions
    from tests.doctor.conftest import Patient

DETAILS = TableSettings(details=True)
OTHER = "444455556666"
OF_AWS = ("network", "clock", "credentials", *Operation)


def emulator_of(world: WorldOptions, *faults: str, **changes: object) -> Emulator:
    """An emulator whose clock is this machine's."""
    return Emulator(options_of(world, start_us=int(time.time() * 1e6), faults=faults, **changes))


def outcomes(checks: dict[str, Check], *names: str) -> dict[str, str]:
    return {name: checks[name].outcome for name in names or checks}


async def test_where_all_is_well_each_check_says_so(patient: Patient, world: WorldOptions, tmp_path: Path) -> None:
    """Each operation is asked once, the other regions once, and nothing stays in the lake's place."""
    catalog = CatalogSettings.model_validate({"kind": "sql", "properties": {"uri": f"sqlite:///{tmp_path}/x.db"}})
    watched = TelemetrySettings(metrics_file=str(tmp_path / "x.prom"))
    async with emulator_of(world) as emulator:
        checks = await patient.checks(emulator, tables=DETAILS, catalog=catalog, telemetry=watched)
    assert list(checks)[-5:] == [*(f"catalog-{part}" for part in ("package", "answers", "tables", "writes")), METRICS]
    assert not [name for name in os.listdir(tmp_path) if name.startswith("x.")]  # noqa: PTH208
    assert set(outcomes(checks).values()) == {"ok"}
    assert checks["credentials"].detail == "account 111122223333, arn:aws:iam::111122223333:root"
    assert checks["ListStages"].detail == "us-east-1 1"
    asked = {name: count for name, count in patient.calls["ivs"].items() if name != "ListStages"}
    assert asked == dict.fromkeys(("unsigned", *list(Operation)[1:]), 1)
    assert (patient.calls["ivs"]["ListStages"], patient.calls["sts"]) == (2, {"GetCallerIdentity": 1})


@pytest.mark.parametrize("operation", list(Operation))
async def test_each_permission_of_ivs(patient: Patient, world: WorldOptions, operation: Operation) -> None:
    """The one that is missing is named with what to allow; all others are found to be there."""
    async with emulator_of(world, f"denied operation={operation}") as emulator:
        checks = await patient.checks(emulator, tables=DETAILS)
    assert checks[operation].outcome == "failed"
    assert "AccessDeniedException" in checks[operation].detail
    assert f"allow ivs:{operation}" in checks[operation].remedy
    assert [name for name, check in checks.items() if check.outcome == "failed"] == [operation]
    if operation is Operation.LIST_STAGES:
        assert "asked of a made-up id" in checks["ListParticipantEvents"].detail


async def test_details_that_are_off_need_no_permission(patient: Patient, world: WorldOptions) -> None:
    """What a run does not ask, is not asked."""
    async with emulator_of(world, "denied operation=GetParticipant") as emulator:
        checks = await patient.checks(emulator)
    assert outcomes(checks, "GetParticipant") == {"GetParticipant": "skipped"}
    assert "GetParticipant" not in patient.calls["ivs"]


async def test_a_region_without_stages_while_another_has_them(patient: Patient, world: WorldOptions) -> None:
    """No run fails by it, and it is hardly meant: the account, the region and the other one are named."""
    async with emulator_of(world, regions=("eu-west-1",)) as emulator:
        checks = await patient.checks(emulator)
    assert checks["ListStages"].outcome == "warning"
    assert checks["ListStages"].detail == "no stage in us-east-1 (account 111122223333); there are some in eu-west-1"
    assert "set regions to eu-west-1" in checks["ListStages"].remedy
    assert set(outcomes(checks, *list(Operation)[1:]).values()) == {"skipped"}


async def test_a_permission_is_missed_before_there_is_anything_to_read(patient: Patient) -> None:
    """A stage without a session: what is denied of made-up ids would be denied of real ones."""
    worlds = {("111122223333", "us-east-1"): FixedWorld([{"arn": stage_of("one"), "name": "one", "sessions": []}])}
    denied = ("denied operation=ListParticipantEvents",)
    async with Emulator(options_of(start_us=int(time.time() * 1e6), faults=denied), worlds) as emulator:
        checks = await patient.checks(emulator)
    assert outcomes(checks, *list(Operation)[1:4]) == {
        "ListStageSessions": "ok",
        "ListParticipants": "skipped",
        "ListParticipantEvents": "failed",
    }
    assert checks["ListParticipants"].detail.endswith("asked of a made-up id, it was not denied")


async def test_stages_that_settings_name_need_no_list(patient: Patient, world: WorldOptions) -> None:
    """A run does not list them, so that this permission may be missing."""
    async with emulator_of(world, "denied operation=ListStages") as emulator:
        listed = emulator.world("111122223333", "us-east-1").stages(emulator.clock.now_us)
        [stage] = listed.items(0, 1)
        assert isinstance(stage, dict)
        checks = await patient.checks(emulator, stages=(stage["arn"],))
    assert outcomes(checks, "ListStages", "ListParticipantEvents") == {
        "ListStages": "ok",
        "ListParticipantEvents": "ok",
    }


async def test_a_role_that_may_not_be_assumed(patient: Patient, world: WorldOptions) -> None:
    """It is named without its external id; the other account is asked all the same."""
    roles = [
        AccountSettings(role_arn=f"arn:aws:iam::{account}:role/{name}", external_id=SecretStr("hush-hush"))
        for account, name in (("111122223333", "ivs-export"), (OTHER, "missing"))
    ]
    keys = (Account(), Account("other", "other", OTHER))
    async with emulator_of(world, accounts=keys, roles=RoleOptions(external_id="hush-hush")) as emulator:
        checks = await patient.checks(emulator, accounts=tuple(roles))
    assert checks["roles"].outcome == "failed"
    assert f"arn:aws:iam::{OTHER}:role/missing" in checks["roles"].detail
    assert "sts:AssumeRole" in checks["roles"].remedy
    assert not any("hush" in check.detail + check.remedy for check in checks.values())
    assert checks["ListParticipantEvents"].detail == "allowed in 111122223333-us-east-1"
    assert patient.calls["sts"] == {"GetCallerIdentity": 1, "AssumeRole": 2}


async def test_no_credentials(patient: Patient, world: WorldOptions) -> None:
    """What needs them is skipped, and says so."""
    patient.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    patient.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with emulator_of(world) as emulator:
        checks = await patient.checks(emulator)
    assert outcomes(checks, "network", "credentials") == {"network": "ok", "credentials": "failed"}
    assert checks["ListStages"].detail == "needs credentials"
    assert set(outcomes(checks, *Operation).values()) == {"skipped"}


async def test_keys_that_aws_does_not_know(patient: Patient, world: WorldOptions) -> None:
    """STS says it first; the secret is shown nowhere."""
    patient.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobodys-own-secret-key")
    async with emulator_of(world) as emulator:
        checks = await patient.checks(emulator)
    assert checks["credentials"].outcome == "failed"
    assert not any("nobodys-own" in check.detail + check.remedy for check in checks.values())


async def test_a_clock_that_is_off(patient: Patient, world: WorldOptions) -> None:
    """AWS refuses its signatures: both times are named."""
    now_s = time.time() + 3_600.0
    options = options_of(world, start_us=int(now_s * 1e6))
    async with Emulator(options, wall_s=lambda: now_s) as emulator:
        checks = await patient.checks(emulator)
    assert outcomes(checks, "network", "clock", "credentials") == {
        "network": "ok",
        "clock": "failed",
        "credentials": "failed",
    }
    assert "this machine's clock says" in checks["clock"].detail
    assert "set this machine's clock" in checks["clock"].remedy


async def test_a_date_that_is_not_aws_s(patient: Patient, world: WorldOptions) -> None:
    """Where signatures are taken, the clock is right, and something else gives the date: no run fails by it."""
    async with Emulator(options_of(world)) as emulator:
        checks = await patient.checks(emulator)
    assert checks["clock"].outcome == "warning"
    assert "not AWS's" in checks["clock"].detail
    assert "failed" not in outcomes(checks).values()


async def test_a_proxy_that_wants_a_password(patient: Patient) -> None:
    """It is named, and what stands before its name is not."""

    async def refuse(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with raw_server(refuse) as proxy:
        patient.monkeypatch.setenv("HTTPS_PROXY", f"http://user:hush-hush@{proxy}")
        checks = await patient.checks()
    assert checks["network"].outcome == "failed"
    assert f"the proxy {proxy} asks for a user and a password" in checks["network"].detail
    assert checks["credentials"].outcome == "warning"
    assert proxy in checks["credentials"].detail
    assert not any("hush" in check.detail + check.remedy for check in checks.values())


async def test_a_port_that_takes_tls_alone(patient: Patient) -> None:
    """What it says to plain HTTP is no answer of AWS's."""
    said = b"Client sent an HTTP request to an HTTPS server."

    async def refuse(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(said) + said)

    async with raw_server(refuse) as host:
        patient.monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", f"http://{host}")
        patient.monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{host}")
        checks = await patient.checks()
    assert checks["network"].outcome == "failed"
    assert f"{host} speaks TLS alone" in checks["network"].detail


async def test_a_certificate_that_is_not_trusted(patient: Patient, tmp_path: Path) -> None:
    """It is named with what to set; where it is trusted, something else than AWS is what answers there."""
    bundle = own_certificate(tmp_path)
    async with answering(web.Response(body=b"{}"), bundle) as url:
        patient.monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", url)
        patient.monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        checks = await patient.checks()
        patient.monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        trusted = await patient.checks()
    assert checks["network"].outcome == "failed"
    assert "is not trusted" in checks["network"].detail
    assert "AWS_CA_BUNDLE" in checks["network"].detail
    assert "its certificate is not trusted" in checks["credentials"].detail
    assert trusted["network"].outcome == "failed"
    assert "without a signature with status 200, as AWS never does" in trusted["network"].detail


@pytest.mark.parametrize("operation", ["ListStages", "ListParticipants"])
async def test_what_hangs_ends_by_name(patient: Patient, world: WorldOptions, operation: str) -> None:
    """A call that is never answered is given up with host and cause, and nothing is asked behind it."""
    async with emulator_of(world, f"silence operation={operation}") as emulator:
        checks = await patient.checks(emulator)
        host = emulator.url.removeprefix("http://")
    assert checks[operation].outcome == "failed"
    assert f"{host} gave no whole answer: nothing came in time" in checks[operation].detail
    assert checks["ListParticipantEvents"].detail.startswith("no scope was asked")
    assert checks["lake-files"].outcome == "ok"


@asynccontextmanager
async def answering(answer: web.Response, bundle: Path) -> AsyncIterator[str]:
    """A server with one answer to everything, over TLS, by its URL."""

    async def handle(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=answer.status, body=answer.body)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
