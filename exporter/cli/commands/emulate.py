"""``ivs-export emulate``: the emulator alone, until it is stopped."""

import asyncio
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exporter.cli import exit_codes
from exporter.errors import UsageError

if TYPE_CHECKING:
    from exporter.cli.invocation import Invocation
    from exporter.emulator import Emulator

_WORLD = "The world"
_SERVICE = "The service"
_SIZE = "COUNT|LOW:MEAN:HIGH"


def emulate(  # noqa: PLR0917 - a command's parameters are its options; nobody passes them by position
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0: any free port.")] = 0,
    region: Annotated[
        list[str] | None, typer.Option(metavar="REGION", help="A region with stages; may be repeated. (us-east-1)")
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="An account's twelve digits; may be repeated. (111122223333)"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number, another world.", rich_help_panel=_WORLD)] = 1,
    stages: Annotated[int, typer.Option(help="How many stages.", rich_help_panel=_WORLD)] = 3,
    sessions: Annotated[
        str, typer.Option(metavar=_SIZE, help="Sessions of a stage.", rich_help_panel=_WORLD)
    ] = "2:4:40",
    participants: Annotated[
        str, typer.Option(metavar=_SIZE, help="Participants of a session.", rich_help_panel=_WORLD)
    ] = "1:8:5000",
    events: Annotated[
        str, typer.Option(metavar=_SIZE, help="Events of a participant.", rich_help_panel=_WORLD)
    ] = "2:24:20000",
    days: Annotated[
        float, typer.Option(help="How many days the sessions fill, up to now.", rich_help_panel=_WORLD)
    ] = 7.0,
    active_share: Annotated[
        float, typer.Option(help="The share of stages whose last session goes on.", rich_help_panel=_WORLD)
    ] = 0.33,
    lag_s: Annotated[
        float, typer.Option(help="Seconds until an event is listed, at most.", rich_help_panel=_WORLD)
    ] = 0.0,
    hostile: Annotated[
        bool | None, typer.Option("--hostile", help="Fill texts with what breaks programs.", rich_help_panel=_WORLD)
    ] = None,
    calls_per_second: Annotated[
        float, typer.Option(help="The quota of each operation.", rich_help_panel=_SERVICE)
    ] = 5.0,
    paging: Annotated[
        str,
        typer.Option(
            metavar="live|snapshot",
            help="Whether a list shifts under its reader, or stays as it was at its first page.",
            rich_help_panel=_SERVICE,
        ),
    ] = "live",
    unknown: Annotated[
        str,
        typer.Option(
            metavar="not_found|empty|denied",
            help="What an unknown stage, session or participant answers.",
            rich_help_panel=_SERVICE,
        ),
    ] = "not_found",
    role: Annotated[
        str, typer.Option(metavar="NAME", help="The role that each account has.", rich_help_panel=_SERVICE)
    ] = "ivs-export",
    external_id: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What must be given to assume it. (nothing)", rich_help_panel=_SERVICE),
    ] = None,
    role_life_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds that an assumed role lasts. (what is asked for, else 3600)", rich_help_panel=_SERVICE
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="Such as 'throttle p=0.1', or 'reset units=1/10'; may be repeated.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
) -> int:
    """Serve a made-up IVS Real-Time on this machine, until Ctrl-C.

    Calls are signed, paged, throttled and refused as AWS does, so that an
    export can be tried, tested and measured without an account. The same
    seed gives the same world. Each account has a world of its own in each
    region, and a role that the keys of the first account may assume.

    Examples:
      ivs-export emulate
      ivs-export emulate --port 4567 --stages 20 --participants 10:200:5000
      ivs-export emulate --calls-per-second 100 --region eu-west-1
      ivs-export emulate --fault "server_error operation=ListParticipants"
      ivs-export emulate --account 111122223333 --account 444455556666
    """
    from exporter.emulator import (  # noqa: PLC0415 - slow to import; --help does without
        Account,
        Emulator,
        EmulatorOptions,
        QuotaOptions,
        RoleOptions,
        Size,
        WorldOptions,
    )

    if not 0.0 < days < math.inf:
        raise UsageError(f"--days must be more than 0, not {days}")
    try:
        world = WorldOptions(
            seed=seed,
            stages=stages,
            sessions=Size.parse(sessions),
            participants=Size.parse(participants),
            events=Size.parse(events),
            days=days,
            active_share=active_share,
            lag_s=lag_s,
            hostile=bool(hostile),
        )
        choices: dict[str, Any] = {
            "paging": _one_of("--paging", paging, ("live", "snapshot")),
            "unknown": _one_of("--unknown", unknown, ("not_found", "empty", "denied")),
        }
        options = EmulatorOptions(
            port=port,
            world=world,
            accounts=tuple(
                Account(account_id=each)
                if place == 0
                else Account(access_key=f"emulator-{each}", secret="emulator", account_id=each)  # noqa: S106 - no secret
                for place, each in enumerate(account or [Account().account_id])
            ),
            roles=RoleOptions(role, external_id, role_life_s),
            regions=tuple(region or ["us-east-1"]),
            quota=QuotaOptions(calls_per_second=calls_per_second),
            faults=tuple(fault or ()),
            **choices,
        )
        emulator = Emulator(options)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None
    invocation: Invocation = context.obj
    asyncio.run(_serve(invocation, emulator))
    return exit_codes.SIGNALS[invocation.signals.received or "SIGINT"]


def _one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}, not {text!r}")
    return text


async def _serve(invocation: "Invocation", emulator: "Emulator") -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    async with emulator:
        invocation.signals.graceful = lambda _: _end(loop, ended)
        invocation.say(_instructions(emulator.url, emulator.options.regions))
        await ended.wait()


def _end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    loop.call_soon_threadsafe(ended.set)


def _instructions(url: str, regions: tuple[str, ...]) -> str:
    named = " ".join(f"--region {region}" for region in regions)
    return (
        f"IVS Real-Time is emulated at {url} until Ctrl-C. In another shell:\n\n"
        f"    export AWS_ENDPOINT_URL_IVS_REALTIME={url} AWS_ENDPOINT_URL_STS={url}\n"
        "    export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator\n"
        f"    ivs-export run {named} --lake ./lake"
    )
