"""``ivs-export emulate``: the emulator alone, until it is stopped."""

import asyncio
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from exporter.cli import exit_codes
from exporter.cli.command import Option, command, invocation_of
from exporter.errors import UsageError

if TYPE_CHECKING:
    from exporter.cli.invocation import Invocation
    from exporter.emulator import Emulator, EmulatorOptions

_WORLD = "The world"
_SERVICE = "The service"
_SIZE = "COUNT|LOW:MEAN:HIGH"
_PAGING = ("live", "snapshot")
_UNKNOWN = ("not_found", "empty", "denied")
_REGION = "us-east-1"


_OPTIONS = (
    Option(
        "--port",
        "Where to listen on 127.0.0.1; 0: any free port.",
        type=click.IntRange(0, 65_535),
        default=0,
        metavar="PORT",
    ),
    Option("--region", f"A region with stages; may be repeated. ({_REGION})", metavar="REGION", multiple=True),
    Option(
        "--account",
        "An account's twelve digits; may be repeated. (111122223333)",
        metavar="ID",
        multiple=True,
    ),
    Option("--seed", "Another number, another world.", _WORLD, type=int, default=1, metavar="NUMBER"),
    Option("--stages", "How many stages.", _WORLD, type=int, default=3, metavar="COUNT"),
    Option("--sessions", "Sessions of a stage.", _WORLD, default="2:4:40", metavar=_SIZE),
    Option("--participants", "Participants of a session.", _WORLD, default="1:8:5000", metavar=_SIZE),
    Option("--events", "Events of a participant.", _WORLD, default="2:24:20000", metavar=_SIZE),
    Option("--days", "How many days the sessions fill, up to now.", _WORLD, type=float, default=7.0, metavar="DAYS"),
    Option(
        "--active-share",
        "The share of stages whose last session goes on.",
        _WORLD,
        type=float,
        default=0.33,
        metavar="SHARE",
    ),
    Option("--lag-s", "Seconds until an event is listed, at most.", _WORLD, type=float, default=0.0, metavar="SECONDS"),
    Option("--hostile", "Fill texts with what breaks programs.", _WORLD, is_flag=True),
    Option("--calls-per-second", "The quota of each operation.", _SERVICE, type=float, default=5.0, metavar="RATE"),
    Option(
        "--paging",
        "Whether a list shifts under its reader, or stays as it was at its first page.",
        _SERVICE,
        default="live",
        metavar="|".join(_PAGING),
    ),
    Option(
        "--unknown",
        "What an unknown stage, session or participant answers.",
        _SERVICE,
        default="not_found",
        metavar="|".join(_UNKNOWN),
    ),
    Option("--role", "The role that each account has.", _SERVICE, default="ivs-export", metavar="NAME"),
    Option("--external-id", "The external id that assuming it needs. (none)", _SERVICE, metavar="TEXT"),
    Option(
        "--role-life-s",
        "Seconds that an assumed role lasts. (what is asked for, else 3600)",
        _SERVICE,
        type=float,
        metavar="SECONDS",
    ),
    Option(
        "--fault",
        "Such as 'throttle p=0.1', or 'reset units=1/10'; may be repeated.",
        _SERVICE,
        metavar="FAULT",
        multiple=True,
    ),
)


@command(*_OPTIONS)
def emulate(context: click.Context) -> int:
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
    from exporter.emulator import Emulator  # noqa: PLC0415 - slow to import; --help does without

    if not 0.0 < (days := context.params["days"]) < math.inf:
        raise UsageError(f"--days must be more than 0, not {days}")
    try:
        emulator = Emulator(_emulator_options(context.params))
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None
    invocation = invocation_of(context)
    asyncio.run(_serve(invocation, emulator))
    return exit_codes.SIGNALS[invocation.signals.received or "SIGINT"]


def _emulator_options(typed: Mapping[str, Any]) -> "EmulatorOptions":
    """The emulator's options. Raises :class:`UsageError`, ValueError or OverflowError for one that can't be."""
    from exporter.emulator import (  # noqa: PLC0415 - the same
        Account,
        EmulatorOptions,
        QuotaOptions,
        RoleOptions,
        Size,
        WorldOptions,
    )

    choices: dict[str, Any] = {
        "paging": _one_of("--paging", typed["paging"], _PAGING),
        "unknown": _one_of("--unknown", typed["unknown"], _UNKNOWN),
    }
    first, *others = typed["account"] or [Account().account_id]
    return EmulatorOptions(
        port=typed["port"],
        world=WorldOptions(
            seed=typed["seed"],
            stages=typed["stages"],
            sessions=Size.parse(typed["sessions"]),
            participants=Size.parse(typed["participants"]),
            events=Size.parse(typed["events"]),
            days=typed["days"],
            active_share=typed["active_share"],
            lag_s=typed["lag_s"],
            hostile=typed["hostile"],
        ),
        accounts=(
            Account(account_id=first),
            *(
                Account(access_key=f"emulator-{account_id}", secret="emulator", account_id=account_id)  # noqa: S106 - no secret
                for account_id in others
            ),
        ),
        roles=RoleOptions(typed["role"], typed["external_id"], typed["role_life_s"]),
        regions=typed["region"] or (_REGION,),
        quota=QuotaOptions(calls_per_second=typed["calls_per_second"]),
        faults=typed["fault"],
        **choices,
    )


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
