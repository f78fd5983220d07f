"""Regions that a run has listed and that have no stage: they have no log, and this is all that the lake keeps of them.

A file ``_log/empty/<account>-<region>/<second>.json``, or ``base-<region>`` of the run's own credentials, is named by
when the run began, in seconds since the epoch. The greatest counts; its writer deletes those before it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from exporter.timestamps import SECOND_US, text_of

if TYPE_CHECKING:
    from exporter.lake.store import Records

    #: An account, None for that of a run's own credentials, and a region.
    RegionOfAccount = tuple[str | None, str]

_PREFIX = "_log/empty/"
_BASE = "base"
_KEY = re.compile(
    rf"{_PREFIX}(?P<account>{_BASE}|[0-9]{{12}})-(?P<region>[a-z]+(?:-[a-z0-9]+)+)/(?P<second>[0-9]{{12}})\.json"
)


async def note_empty(records: Records, of: RegionOfAccount, began_us: int, run_id: str) -> None:
    """Keep that a run, which began then, has listed a region and found no stage. Raises :class:`LakeError`."""
    account_id, region = of
    prefix = f"{_PREFIX}{account_id or _BASE}-{region}/"
    key = f"{prefix}{began_us // SECOND_US:012d}.json"
    body = {"account_id": account_id, "region": region, "run_id": run_id, "at": text_of(began_us)}
    await records.create(key, json.dumps(body).encode())
    for earlier in await records.keys(prefix):
        if _KEY.fullmatch(earlier) and earlier < key:
            await records.delete(earlier)


async def empty_listings(records: Records) -> dict[RegionOfAccount, int]:
    """When each region that has no stage was last listed, in microseconds since the epoch. Raises `LakeError`."""
    latest: dict[RegionOfAccount, int] = {}
    for key in await records.keys(_PREFIX):
        if match := _KEY.fullmatch(key):
            account_id = None if match["account"] == _BASE else match["account"]
            latest[account_id, match["region"]] = int(match["second"]) * SECOND_US  # the keys are sorted
    return latest
