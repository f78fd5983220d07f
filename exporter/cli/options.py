"""The options that set nothing of the settings' file, each declared once; and what was typed, by the settings' keys."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exporter.cli.command import Option
from exporter.cli.setting_options import QUESTION, THE_RUN, WHAT

#: Those that `exporter.views.statements` makes statements for, but for one that tests alone use.
ENGINES = ("duckdb", "athena", "spark", "clickhouse")


def _finite(_context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """The number; Python's own notion of one is wider than people's."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of hours.", param=option)
    return value


#: What one run is asked for: no settings, so the file has no keys for them.
RUN = (
    Option(
        "--targets",
        "Only what this list names, with the columns stage_arn, session_id and participant_id: CSV, JSON, Parquet, bare"
        " ARNs, or what AWS's command prints; a file, s3://bucket/key, or standard input (-). A row without a"
        " participant stands for its whole session, one without a session for its whole stage.",
        WHAT,
        metavar="FILE",
    ),
    Option(
        "--since",
        "Only sessions that had not ended before this date or ISO time; UTC unless it says otherwise.",
        WHAT,
        metavar="TIME",
    ),
    Option("--until", "Only sessions that began before this date or time.", WHAT, metavar="TIME"),
    Option("--refetch", "Also fetch again what is complete, and add what the lake lacks.", WHAT, is_flag=True),
    Option(
        "--backfill-tables",
        "Also write rows of the other tables for sealed sessions that have none.",
        WHAT,
        is_flag=True,
    ),
    Option(
        "--dry-run",
        "List what would be fetched, and print units, calls and minutes; fetch and write nothing.",
        WHAT,
        is_flag=True,
    ),
    Option("--account", "Only the scopes of this account: twelve digits.", WHAT, metavar="ID"),
    Option(
        "--shard",
        "Only a share of the configured scopes, for one of N runs: of the lines that `scopes` prints every N-th,"
        " beginning with the I-th (1 to N).",
        WHAT,
        metavar="I/N",
    ),
    Option(
        "--dask",
        "Let a Dask cluster export the accounts and regions: its scheduler's address, or local:N for N workers on"
        " this machine. Needs the extra `dask`.",
        THE_RUN,
        metavar="ADDRESS",
    ),
    Option("--wait", "Wait for a scope that another run holds.", THE_RUN, is_flag=True),
    Option("--tag", "A name for the runs of one night, kept in their records.", THE_RUN, metavar="TEXT"),
)

CONFIG = Option(
    "--config",
    "A TOML file with settings; else the one that IVS_EXPORT_CONFIG names.",
    metavar="FILE",
    type=click.Path(path_type=Path),
)
#: Read from the arguments by `exporter.cli.app`, so that it counts where they are wrong.
JSON = Option("--json", "Print one JSON object on standard output, and nothing else.", is_flag=True)
LOG_LEVEL = Option(
    "--log-level",
    "How much to log: debug (which shows a bug's traceback), info, warning or error; else what IVS_EXPORT_LOG_LEVEL"
    " says.",
    metavar="LEVEL",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    envvar="IVS_EXPORT_LOG_LEVEL",
    show_envvar=True,  # in an error's line, too
)
RUNS = Option("--runs", "How many of each scope's last runs.", type=click.IntRange(min=1), default=5, metavar="COUNT")
MAX_AGE = Option(
    "--max-age-h",
    "For monitors: end with 3 unless everything configured is complete until this many hours ago.",
    metavar="HOURS",
    type=click.FloatRange(min=0.0, min_open=True),
    callback=_finite,
)
NIGHT = Option("--tag", "Sum up all runs with this tag as one.", metavar="TEXT")
ACCEPT_MISSING = Option(
    "--accept-missing",
    "The files of this partition were removed on purpose: event_date=2025-01-01, or a range such as"
    " event_date=2025-01-01..2025-01-31; session_date= and exported_date= alike. May be repeated.",
    metavar="PARTITION",
    multiple=True,
)
ENGINE = Option(
    "--engine",
    "The engine that is to read the lake.",
    metavar="|".join(ENGINES),
    type=click.Choice(ENGINES),
    required=True,
)
SINCE_DATE = Option(
    "--since",
    "Only sessions that had not ended before this UTC date.",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
)
UNTIL_DATE = Option(
    "--until", "Only sessions that began before this UTC date.", metavar="DATE", type=click.DateTime(["%Y-%m-%d"])
)
DOMAIN = Option(
    "--domain",
    "Also look for what is strange in the data: an event outside its session, a stop without a start. Only an error,"
    " which is a fault of the export, makes exit code 1. Needs the extra `query`.",
    is_flag=True,
)
REBUILD = Option(
    "--rebuild",
    "Make each table anew from the log: for one that does not fit it, or whose files an engine has changed.",
    is_flag=True,
)
COMPACT = Option(
    "--compact",
    "Then merge small files of the tables into larger ones; the lake keeps its own files.",
    is_flag=True,
)
DROP = Option("--drop", "Take the tables out of the catalog; no file is removed.", is_flag=True)
DRY_REPAIR = Option("--dry-run", "Say what would be done to which file, and change nothing.", is_flag=True)
SQL = click.Argument(["sql"], required=False, metavar='["SQL"]')
FORMAT = Option(
    "--format",
    "table, csv, or json (an array of objects).",
    QUESTION,
    metavar="FORMAT",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
)


def typed_settings(context: click.Context) -> dict[str, Any]:
    """The settings that were typed, nested as in the settings' file; what was not typed is not there."""
    typed: dict[str, Any] = {}
    for option in context.command.params:
        if not isinstance(option, Option) or option.key is None:
            continue
        value = context.params[option.name]
        if value is None or value == ():
            continue
        put(typed, option.key.split("."), list(value) if isinstance(value, tuple) else value)
    return typed


def put(settings: dict[str, Any], key: Sequence[str], value: Any) -> None:  # noqa: ANN401 - of any type until checked
    """Set the value of a key in nested settings."""
    *sections, name = key
    for section in sections:
        settings = settings.setdefault(section, {})
    settings[name] = value


def typed_run_options(context: click.Context) -> dict[str, Any]:
    """The values of `RUN`, by the options' names."""
    return {option.name: context.params[option.name] for option in RUN}
