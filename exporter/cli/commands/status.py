"""``ivs-export status``: what the lake's logs say."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(setting_options.LAKE, options.RUNS, options.CONFIG, options.JSON)
def status(context: click.Context) -> int:
    """Show the last runs, how far the lake is complete, and what waits.

    Only the lake's logs are read, no data and nothing of AWS's but the lake.

    Examples:
      ivs-export status
      ivs-export status --lake s3://my-lake/ivs --json
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import status as status_action  # noqa: PLC0415 - slower still; a wrong setting does without

    return status_action.show_status(invocation_of(context), settings, context.params["runs"])
