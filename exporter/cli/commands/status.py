"""``ivs-export status``: what the lake's logs say."""

import typer

from exporter.cli import options


def status(
    context: typer.Context,
    lake: options.Lake = None,
    runs: options.Runs = 5,
    config: options.Config = None,
    json: options.Json = False,  # noqa: ARG001, FBT002 - read from the arguments, so that it counts where they are wrong
) -> int:
    """Show the last runs, how far the lake is complete, and what waits.

    Only the lake's logs are read, no data and nothing of AWS's but the lake.

    Examples:
      ivs-export status
      ivs-export status --lake s3://my-lake/ivs --json

    Exit codes: 0 shown, 1 the lake can't be read, 2 wrong usage, 3 the log of
    some scope is damaged; the others are shown.
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load({"lake": lake}, config)
    from exporter.cli.actions import status as status_action  # noqa: PLC0415 - slower still; a wrong setting does without

    return status_action.show_status(context.obj, settings, runs)
