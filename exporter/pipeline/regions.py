"""The regions of a run: those that are set, those of its stages and targets, or AWS's own defaults."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from exporter.discovery.shards import has_all_regions
from exporter.errors import UsageError
from exporter.model import REGIONS, nearest_region, scope_of
from exporter.setting_types import check_regions
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.discovery.target_list import Targets
    from exporter.model import Scope
    from exporter.settings import Settings

_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
_log = Logger(__name__)


def with_regions(settings: Settings, targets: Targets | None, profile_region: Callable[[], str | None]) -> Settings:
    """The settings with the regions that are meant where none are set: those of the ARNs, else AWS's own defaults.

    Where regions, accounts or stages are set, a stage or target outside them is refused: they limit what a run reads.
    A target in an excluded stage is refused, too. ``profile_region`` reads the AWS profile, which is slow, and so comes
    last. Raises :class:`UsageError`.
    """
    if targets is not None:
        _check_targets(settings, targets)
    named = {scope: f"the list names account {scope.account_id}" for scope in targets.scopes()} if targets else {}
    named |= {scope: f"stage {arn} is" for arn in settings.stages if (scope := scope_of(arn))}
    for scope, who in named.items():
        _check_scope(settings, scope, who)
    if has_all_regions(settings):
        return settings
    regions = tuple(sorted({scope.region for scope in named})) or (_default_region(profile_region),)
    return settings.model_copy(update={"regions": regions})


def _check_targets(settings: Settings, targets: Targets) -> None:
    """Refuse a list that names a stage which is not to be exported."""
    stages, excluded = set(settings.stages), set(settings.exclude_stages)
    for scope in targets.scopes():
        for arn in targets.stages(scope):
            if arn in excluded:
                raise UsageError(f"the list names stage {arn}, which is excluded: take it out of one of the two")
            if stages and arn not in stages:
                raise UsageError(f"the list names stage {arn}, which is none of the stages to export")


def _check_scope(settings: Settings, scope: Scope, who: str) -> None:
    """Refuse a scope that is named, but lies outside of the settings' accounts and regions."""
    account = settings.account(scope.account_id)
    if settings.accounts and account is None:
        raise UsageError(
            f"{who} in {scope.region}, but account {scope.account_id} is none of the [[accounts]] in the file"
        )
    regions = (account and account.regions) or settings.regions
    if regions and scope.region not in regions:
        raise UsageError(f"{who} in {scope.region}, which is none of the regions to export: {', '.join(regions)}")


def _default_region(profile_region: Callable[[], str | None]) -> str:
    source, region = next(((name, os.environ[name]) for name in _VARIABLES if os.environ.get(name)), ("", None))
    if region is None:
        source, region = "the AWS profile", profile_region()
    if not region:
        raise UsageError("no region is set: use --region, IVS_EXPORT_REGIONS, AWS_REGION or a profile that has one")
    try:
        check_regions([region])
    except ValueError as error:
        raise UsageError(f"{source} gives the region: {error}; use --region") from None
    return region


def profile_region() -> str | None:
    """The region of the AWS profile, None where it has none. Raises :class:`CredentialsLost` where it can't be read."""
    from aiobotocore.session import AioSession  # noqa: PLC0415 - slow, and asked for where nothing else gives a region

    from exporter.aws.errors import reading_configuration  # noqa: PLC0415 - the same

    with reading_configuration("no region is set, and the AWS profile can't be read for one"):
        region: str | None = AioSession().get_config_variable("region")
    return region


def name_new_regions(settings: Settings) -> None:
    """Log the regions that this version does not know: they are new, or misspelt."""
    for region in set(settings.regions) - set(REGIONS):
        _log.info("region is new to this version, or misspelt", region=region, meant=nearest_region(region))
