"""``ivs-export sql``: the statements that make the tables and views of a lake on an engine."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(setting_options.LAKE, options.ENGINE, options.SINCE_DATE, options.UNTIL_DATE, options.CONFIG)
def sql(context: click.Context) -> int:
    """Print the SQL that makes the tables and views of a lake on an engine.

    Run what is printed as it stands. With dates, the views hold the sessions
    that overlap them, whole, and only the files of their dates are read.

    Examples:
      ivs-export sql --engine duckdb | duckdb my.db
      ivs-export sql --engine spark --since 2026-11-23 --until 2026-11-24
      ivs-export sql --engine athena --lake s3://my-lake/ivs
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import sql as sql_action  # noqa: PLC0415 - slower still; a wrong setting does without

    typed = context.params
    return sql_action.print_sql(invocation_of(context), settings, typed["engine"], typed["since"], typed["until"])
