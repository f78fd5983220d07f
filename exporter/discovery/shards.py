"""The scopes that a configuration names, and how many runs share them. Pure.

Every scope that there can be belongs to exactly one shard: what belongs where is a function of the configuration, the
number of shards and the scope alone, so runs that know nothing of each other leave none out and take none twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.settings import Settings

_BASE = "base"
_SHARD = re.compile(r"(?P<index>[0-9]{1,9})/(?P<count>[0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConfiguredScope:
    """A scope as the configuration names it. Without an ``account_id`` it is that of the run's own credentials."""

    region: str
    account_id: str | None = None

    def __str__(self) -> str:
        """The name by which configured scopes are put in order: ``<account>/<region>``, or ``base/<region>``."""
        return f"{self.account_id or _BASE}/{self.region}"


def configured_scopes(settings: Settings) -> tuple[ConfiguredScope, ...]:
    """The scopes that settings name, in the order of their names: the accounts in their regions, else the regions."""
    if settings.accounts:
        found = {
            ConfiguredScope(region, account.account_id)
            for account in settings.accounts
            for region in account.regions or settings.regions
        }
    else:
        found = {ConfiguredScope(region) for region in settings.regions}
    return tuple(sorted(found, key=str))


def has_all_regions(settings: Settings) -> bool:
    """Whether settings say of everything in which regions it is."""
    return bool(settings.regions or (settings.accounts and all(account.regions for account in settings.accounts)))


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` shares of the work, by its ``index`` from 1 on."""

    index: int
    count: int

    def __str__(self) -> str:
        """The shard as it is typed."""
        return f"{self.index}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read ``I/N``. Raises :class:`UsageError` where that is none of the shards from 1/N to N/N."""
    match = _SHARD.fullmatch(text)
    if match is None or not 1 <= int(match["index"]) <= int(match["count"]):
        raise UsageError(f"--shard {shown(text)} is refused: write I/N, with I from 1 to N, such as 1/4")
    return Shard(int(match["index"]), int(match["count"]))


class ShardedScopes:
    """What a shard has of all scopes; it is counted over ``configured``, in the order of their names.

    Of the configured scopes a shard of N has every N-th. Another one, that of a stage or of the lake, belongs where the
    first configured scope of its region does; where there is none, its name decides, the same on every machine.
    """

    def __init__(self, shard: Shard, configured: Sequence[ConfiguredScope]) -> None:
        self.shard = shard
        self._places = {scope: place for place, scope in enumerate(configured)}
        self._of_region: dict[str, int] = {}
        for place, scope in enumerate(configured):
            self._of_region.setdefault(scope.region, place)

    def has(self, region: str, account_id: str | None = None) -> bool:
        """Whether a scope belongs to the shard."""
        scope = ConfiguredScope(region, account_id)
        place = self._places.get(scope, self._of_region.get(region))
        if place is None:
            place = int.from_bytes(hashlib.sha256(str(scope).encode()).digest()[:8])
        return place % self.shard.count == self.shard.index - 1
