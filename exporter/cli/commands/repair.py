"""``ivs-export repair``: what verify finds, mended."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(setting_options.LAKE, options.DRY_REPAIR, options.CONFIG, options.JSON)
def repair(context: click.Context) -> int:
    """Mend what verify finds.

    Rows that are there twice are taken out, and rows of one id that differ
    get ids of their own. A damaged file is moved under _damaged/, and a
    missing one is recorded as lost: the next run fetches their sessions again.
    Files that no record names are recorded, and a log that can't be used is
    made anew from the files. What can't be read stays as it is.

    Examples:
      ivs-export repair --dry-run
      ivs-export repair --lake s3://my-lake/ivs
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import upkeep  # noqa: PLC0415 - slower still; a wrong setting does without

    return upkeep.repair_lake(invocation_of(context), settings, is_dry=context.params["dry_run"])
