"""``ivs-export status``: what the lake's logs say."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(
    setting_options.LAKE,
    setting_options.REGION,
    options.RUNS,
    options.MAX_AGE,
    options.NIGHT,
    options.CONFIG,
    options.JSON,
)
def status(context: click.Context) -> int:
    """Show the last runs, how far the lake is complete, and what waits.

    It reads only the lake's logs: no data, and nothing of AWS but the lake.
    All scopes of the lake are shown. The regions, accounts and stages that
    are configured matter only for --max-age-h.

    Examples:
      ivs-export status
      ivs-export status --lake s3://my-lake/ivs --json
      ivs-export status --config /etc/ivs-export.toml --max-age-h 26
      ivs-export status --tag 2026-11-26
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import status as status_action  # noqa: PLC0415 - slower still; a wrong setting does without

    invocation, typed = invocation_of(context), context.params
    if typed["tag"] is not None:
        from exporter.cli.actions import night  # noqa: PLC0415 - the same

        return night.show_night(invocation, settings, typed["tag"], typed["max_age_h"])
    return status_action.show_status(invocation, settings, typed["runs"], typed["max_age_h"])
