"""What ``scopes`` shows of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli import exit_codes
from exporter.discovery.shards import configured_scopes
from exporter.pipeline.regions import profile_region, with_regions

if TYPE_CHECKING:
    from exporter.cli.invocation import Invocation
    from exporter.settings import Settings


def show_scopes(invocation: Invocation, settings: Settings) -> int:
    """Carry out ``ivs-export scopes``. Raises :class:`UsageError` where no region is set."""
    found = configured_scopes(with_regions(settings, None, profile_region))
    invocation.print_object([{"account_id": scope.account_id, "region": scope.region} for scope in found])
    invocation.say("\n".join(map(str, found)))
    return exit_codes.OK
