"""What was typed to choose among the scopes that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.cli import settings_sources
from exporter.discovery.request import ScopeChoice
from exporter.discovery.shards import ShardedScopes, configured_scopes, has_all_regions, parse_shard
from exporter.errors import UsageError
from exporter.model import is_account_id
from exporter.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class ScopeOptions:
    """Which scopes one run takes, as it was typed.

    ``configured`` are the settings without the regions and stages that were typed: shards are counted over those.
    """

    account: str | None = None
    shard: str | None = None
    wait: bool = False
    configured: Settings | None = None

    def choice(self, settings: Settings) -> ScopeChoice:
        """What was typed, checked. ``settings`` have all regions. Raises :class:`UsageError`."""
        if self.account is not None and not is_account_id(self.account):
            raise UsageError(f"--account {shown(self.account)} is refused: an account has twelve digits")
        if self.shard is None:
            return ScopeChoice(self.account, wait=self.wait)
        is_configured = self.configured is not None and has_all_regions(self.configured)
        counted_over = self.configured if is_configured and self.configured is not None else settings
        sharded = ShardedScopes(parse_shard(self.shard), configured_scopes(counted_over))
        return ScopeChoice(self.account, sharded, self.wait)


ALL_SCOPES = ScopeOptions()


def load_configured(options: Mapping[str, Any], config: Path | None = None) -> Settings:
    """The settings without the regions and stages that were typed, which choose among what is configured.

    Raises as `settings_sources.load`.
    """
    choosing = {"regions", "stages", "exclude_stages"}
    return settings_sources.load({name: value for name, value in options.items() if name not in choosing}, config)
