"""``ivs-export verify``: the lake read against its logs."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(
    setting_options.LAKE, options.ACCEPT_MISSING, options.DOMAIN, setting_options.MEMORY, options.CONFIG, options.JSON
)
def verify(context: click.Context) -> int:
    """Read the whole lake, and compare it with what its logs say.

    It checks that the logs are whole and fit together; that every file is
    there, with the right checksum and rows, and no file that no record names;
    that each row is in the folder of its date; and that no event is there
    twice. Each problem is shown with its remedy. Nothing is changed, except
    by --accept-missing.

    Examples:
      ivs-export verify
      ivs-export verify --lake s3://my-lake/ivs --json
      ivs-export verify --domain
      ivs-export verify --accept-missing event_date=..2025-01-31
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import upkeep  # noqa: PLC0415 - slower still; a wrong setting does without

    typed = context.params
    return upkeep.verify_lake(invocation_of(context), settings, typed["accept_missing"], is_domain=typed["domain"])
