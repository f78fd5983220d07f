"""``ivs-export repair``: what verify finds, mended."""

import typer

from exporter.cli import options


def repair(
    context: typer.Context,
    lake: options.Lake = None,
    dry_run: options.DryRepair = False,  # noqa: FBT002 - a command's parameters are its options
    config: options.Config = None,
    json: options.Json = False,  # noqa: ARG001, FBT002 - read from the arguments, so that it counts where they are wrong
) -> int:
    """Mend what verify finds.

    Rows that stand twice are taken out, and rows of one id that differ are
    numbered anew. A file that is damaged is set aside under _damaged/, and
    one that is gone is called lost: the next run asks for their sessions
    again. Files that no record names are named, and a log that can't be
    built on is begun anew from the files. What can't be read is left alone.

    Examples:
      ivs-export repair --dry-run
      ivs-export repair --lake s3://my-lake/ivs

    Exit codes: 0 verify finds nothing any more, 1 problems are left, or the
    lake can't be read or written, 2 wrong usage.
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load({"lake": lake}, config)
    from exporter.cli.actions import upkeep  # noqa: PLC0415 - slower still; a wrong setting does without

    return upkeep.repair_lake(context.obj, settings, is_dry=dry_run)
