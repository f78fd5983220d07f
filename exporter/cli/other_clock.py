"""``IVS_EXPORT_TEST_CLOCK``: a clock for the exporter instead of this machine's, for tests beside an emulator.

An emulator whose time is elsewhere answers with dates that are far from this machine's, and those do not count. The
variable holds an ISO time for the clock to start at, or the URL of an emulator whose clock it follows. Signatures keep
the machine's own time. No clock but the machine's counts for what is real: every endpoint in use must be on this
machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.machine.clock import system_clock
from exporter.machine.loopback import host_of, is_loopback
from exporter.timestamps import SECOND_US, read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.machine.clock import Clock
    from exporter.settings import Settings

VARIABLE = "IVS_EXPORT_TEST_CLOCK"
_ANSWER_S_MAX = 10.0
_ANSWER_SIZE_BYTES_MAX = 10_000
_FOLLOWING_S = 0.05


def other_clock(settings: Settings) -> Clock | None:
    """The clock that the environment asks for; None where it asks for none.

    Raises :class:`UsageError` where the variable is neither a time nor a URL, where an endpoint that ``settings`` need
    is not a loopback address, and where the emulator does not show its time; and :class:`CredentialsLost` where AWS's
    own files can't be read.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    start_us = read_us(text)
    if start_us is None and not text.startswith(("http://", "https://")):
        raise UsageError(f"{VARIABLE} holds neither an ISO time nor the URL of an emulator")
    named = [*([text] if start_us is None else []), *_of_catalog(settings), *_of_webhook(settings)]
    for url in (*named, *asyncio.run(_endpoints(settings))):
        if not is_loopback(url):
            host = host_of(url) or "an endpoint"
            raise UsageError(
                f"{VARIABLE} is for tests on one machine alone, and {host} is no loopback address: unset it"
            )
    here = system_clock()
    wall_us = _followed(text) if start_us is None else _started(start_us, here.monotonic_s)
    return replace(here, wall_us=wall_us, machine_us=here.wall_us)


async def _endpoints(settings: Settings) -> list[str]:
    """The URLs of all services that a run with these settings calls, as botocore finds them.

    Raises what the run itself would raise where AWS's own settings or files can't be used.
    """
    from exporter.aws.endpoints import check_endpoint_settings  # noqa: PLC0415 - needed where the variable is set alone
    from exporter.aws.errors import providing_credentials  # noqa: PLC0415 - the same
    from exporter.aws.sessions import open_session  # noqa: PLC0415 - the same, and slow to import

    found = []
    with providing_credentials():
        session = open_session()
        for service, region in _services(settings):
            check_endpoint_settings(service.upper().replace("-", "_"))
            async with session.create_client(service, region_name=region) as client:
                found.append(client.meta.endpoint_url)
    return found


def _services(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each service that is called, with a region."""
    regions = {*settings.regions, *(region for account in settings.accounts for region in account.regions)}
    for region in sorted(regions):
        yield "ivs-realtime", region
        if settings.accounts:
            yield "sts", region
    if settings.lake.lower().startswith("s3:"):
        yield "s3", min(regions, default="us-east-1")
    if settings.catalog.kind == "glue" and not _of_catalog(settings):
        yield "glue", min(regions, default="us-east-1")
    if settings.notify.topic_region is not None:
        yield "sns", settings.notify.topic_region


def _of_catalog(settings: Settings) -> list[str]:
    """Where a catalog answers, as far as its own properties say it; a file of SQLite's is no address."""
    catalog = settings.catalog
    named = {"rest": "uri", "sql": "uri", "glue": "glue.endpoint"}.get(catalog.kind, "")
    if named not in catalog.properties:
        return []
    url = catalog.properties[named].get_secret_value()
    if catalog.kind != "sql":
        return [url]
    scheme, _, rest = url.partition("://")
    return [] if scheme.startswith("sqlite") else [f"http://{rest}"]  # a database's host stands where a server's does


def _of_webhook(settings: Settings) -> list[str]:
    return [] if settings.notify.webhook is None else [settings.notify.webhook.get_secret_value()]


def _started(start_us: int, monotonic_s: Callable[[], float]) -> Callable[[], int]:
    began_s = monotonic_s()
    return lambda: start_us + int((monotonic_s() - began_s) * SECOND_US)


def _followed(url: str) -> Callable[[], int]:
    """The time of an emulator, asked for over and over beside the run; the last one stays when it answers no more."""
    latest_us = _asked_us(url)

    def follow() -> None:
        nonlocal latest_us
        while True:
            time.sleep(_FOLLOWING_S)
            try:
                latest_us = _asked_us(url)
            except UsageError:
                return  # the emulator has ended, and the run soon does

    threading.Thread(target=follow, name="emulated clock", daemon=True).start()
    return lambda: latest_us


def _asked_us(url: str) -> int:
    import urllib.request  # noqa: PLC0415 - slow to import; a test's clock alone needs it
    from http.client import HTTPException  # noqa: PLC0415 - the same

    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/_emulator/clock", timeout=_ANSWER_S_MAX) as answer:  # noqa: S310 - a loopback address, checked
            return int(json.loads(answer.read(_ANSWER_SIZE_BYTES_MAX))["now_us"])
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{VARIABLE}: no emulator shows its time at {host_of(url)}") from error
