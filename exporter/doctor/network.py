"""The way to IVS: whether each host answers, through which proxy, and with a certificate that is trusted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.aws.network import host_of
from exporter.doctor.check import Check, remedy_of
from exporter.doctor.way import named
from exporter.errors import ExportError, Refused, Transient, Unreachable
from exporter.ivs.operations import Operation
from exporter.ivs.refusals import read_refusal
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from exporter.doctor.way import WayToAws
    from exporter.ivs.http import Answer

NAME = "network"
_OK = 200
_HEADERS = {"Content-Type": "application/json"}


async def check_network(way: WayToAws) -> Check:
    """Ask each region's host once, without a signature: whatever AWS answers, the way there is open.

    Raises :class:`UsageError` where certificates that are named can't be read.
    """
    await way.connections()
    asked = await asyncio.gather(*(_ask(way, region) for region in way.regions), return_exceptions=True)
    answered, errors = [], []
    for host_or_error in asked:
        if isinstance(host_or_error, str):
            answered.append(host_or_error)
        elif isinstance(host_or_error, ExportError):
            errors.append(host_or_error)
        else:
            raise host_or_error
    if errors:
        return Check(NAME, "failed", named(dict.fromkeys(map(str, errors)), 3), remedy_of(errors[0]))
    return Check(NAME, "ok", f"answer: {named(answered)}")


async def _ask(way: WayToAws, region: str) -> str:
    """Ask one host, note the date of its answer, and give its name. Raises an :class:`ApiError`."""
    endpoint, url = await way.probe(region)
    connections = await way.connections()
    answer = await connections.post("the way to IVS", url, b"{}", _HEADERS, endpoint.proxy)
    host = host_of(url)
    local_us = way.clock.wall_us()
    way.dates[host] = answer.headers.get("Date", ""), local_us
    if answer.status == _OK:
        raise Refused(
            f"{host} answers a call without a signature with status 200, as AWS never does: something between here and"
            " AWS answers, or the endpoint names something else",
            code=str(_OK),
            is_aws=False,
        )
    refusal = _refusal(answer, local_us, url, endpoint.proxy)
    if isinstance(refusal, (Transient, Unreachable)) or (isinstance(refusal, Refused) and not refusal.is_aws):
        raise refusal
    return f"{host} through the proxy {host_of(endpoint.proxy)}" if endpoint.proxy else host


def _refusal(answer: Answer, local_us: int, url: str, proxy: str | None) -> ExportError:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    now = datetime.fromtimestamp(local_us / SECOND_US, UTC)
    return read_refusal(Operation.LIST_STAGES, answer.status, headers, answer.body, now, url=url, proxy=proxy)
