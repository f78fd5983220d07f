"""What ``ivs-export emulate`` does: serve a made-up IVS Real-Time until it is stopped."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.cli import exit_codes
from exporter.cli.emulator_choices import PAGING, REGION, UNKNOWN
from exporter.emulator import (
    Account,
    Emulator,
    EmulatorOptions,
    ListenOptions,
    PagingOptions,
    QuotaOptions,
    RoleOptions,
    ServiceOptions,
    Size,
    WorldOptions,
    WorldShape,
    WorldTimes,
    read_world_file,
)
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.cli.invocation import Invocation


def serve(invocation: Invocation, typed: Mapping[str, Any]) -> int:
    """Serve until a signal comes, and return its exit code. ``typed`` are the options' values, by their names.

    Raises :class:`UsageError` where the options make no emulator.
    """
    if not 0.0 < typed["days"] < math.inf:
        raise UsageError(f"--days must be more than 0, not {typed['days']}")
    try:
        worlds = read_world_file(Path(typed["world"])) if typed["world"] else {}
        emulator = Emulator(_emulator_options(typed, worlds), worlds)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None
    asyncio.run(_serve(invocation, emulator))
    return exit_codes.SIGNALS[invocation.signals.received or "SIGINT"]


def _emulator_options(typed: Mapping[str, Any], worlds: Iterable[tuple[str, str]]) -> EmulatorOptions:
    """The emulator's options; the accounts of ``worlds`` have keys, too.

    Raises :class:`UsageError`, ValueError or OverflowError for one that can't be.
    """
    mode: Any = _one_of("--paging", typed["paging"], PAGING)
    unknown: Any = _one_of("--unknown", typed["unknown"], UNKNOWN)
    written = [account_id for account_id, _ in worlds]
    first, *others = dict.fromkeys((*typed["account"], *written)) or [Account().account_id]
    return EmulatorOptions(
        world=_world_options(typed),
        accounts=(
            Account(account_id=first),
            *(
                Account(access_key=f"emulator-{account_id}", secret="emulator", account_id=account_id)  # noqa: S106 - no secret
                for account_id in others
            ),
        ),
        regions=() if written else typed["region"] or (REGION,),
        roles=RoleOptions(typed["role"], typed["external_id"], typed["role_life_s"]),
        service=ServiceOptions(
            QuotaOptions(typed["calls_per_second"]), PagingOptions(mode), unknown=unknown, faults=typed["fault"]
        ),
        listen=ListenOptions(port=typed["port"]),
    )


def _world_options(typed: Mapping[str, Any]) -> WorldOptions:
    sizes = {name: Size.parse(typed[name]) for name in ("sessions", "participants", "events")}
    return WorldOptions(
        seed=typed["seed"],
        shape=WorldShape(typed["stages"], **sizes),
        times=WorldTimes(days=typed["days"], lag_s=typed["lag_s"], zoneless=typed["zoneless"]),
        active_share=typed["active_share"],
        sleepless_share=typed["sleepless_share"],
        hostile=typed["hostile"],
    )


def _one_of(option: str, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}, not {text!r}")
    return text


async def _serve(invocation: Invocation, emulator: Emulator) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    async with emulator:
        invocation.signals.graceful = lambda _: _end(loop, ended)
        invocation.say(_instructions(emulator))
        await ended.wait()


def _end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    loop.call_soon_threadsafe(ended.set)


def _instructions(emulator: Emulator) -> str:
    url = emulator.url
    named = " ".join(f"--region {region}" for region in emulator.regions)
    rate = emulator.options.service.quota.calls_per_second
    pace = f" --calls-per-second {rate:g}" if rate != QuotaOptions().calls_per_second else ""
    return (
        f"IVS Real-Time is emulated at {url} until Ctrl-C. In another shell:\n\n"
        f"    export AWS_ENDPOINT_URL_IVS_REALTIME={url} AWS_ENDPOINT_URL_STS={url}\n"
        "    export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator\n"
        f"    ivs-export run {named} --lake ./lake{pace}"
    )
