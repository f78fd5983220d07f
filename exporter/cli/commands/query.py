"""``ivs-export query``: a question to the lake, in SQL."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(
    options.SQL,
    setting_options.LAKE,
    options.FORMAT,
    options.SINCE_DATE,
    options.UNTIL_DATE,
    setting_options.MEMORY,
    options.CONFIG,
)
def query(context: click.Context) -> int:
    """Ask the lake in SQL; without SQL, list tables and views with examples.

    SQL is one SELECT in DuckDB's dialect, or - for standard input. The lake's
    tables and all views can be named in it; times are in UTC. Nothing is ever
    written. --since and --until choose the sessions that the views hold; the
    tables keep all dates.

    Examples:
      ivs-export query
      ivs-export query "SELECT * FROM session_summary LIMIT 5"
      ivs-export query --lake s3://my-lake/ivs --format csv - < question.sql
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import query as query_action  # noqa: PLC0415 - slower still; a wrong setting does without

    typed = context.params
    question = query_action.Question(typed["sql"], typed["format"], typed["since"], typed["until"])
    return query_action.answer(invocation_of(context), settings, question, typed["lake"])
