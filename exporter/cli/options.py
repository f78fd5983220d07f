"""The options of the commands, each declared once: flag, key of the settings, what it takes, help text.

`SETTINGS` joins a setting's option, its key in the settings' file and its field in `exporter.settings` by one name, the
key. Their values are passed on as the text that was typed: `exporter.settings` checks those of all sources alike. A
help text ends with the setting's default in brackets; a test compares it with the settings' own, which are slow to
import.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exporter.cli.command import Option

_WHAT = "What to export, and where to"
_TABLES = "Tables, and what they say of users"
_QUOTA = "Quota"
_RUN = "The run"
_CALLS = "Calls"
_S3 = "S3, passed on with each object"
_QUERY = "The question"
_CATALOG = "The catalog"

#: Those that `exporter.views.statements` makes statements for, but for one that tests alone use.
ENGINES = ("duckdb", "athena", "spark", "clickhouse")


def _setting(key: str, flags: str, metavar: str | None, help_text: str, group: str, **more: Any) -> Option:  # noqa: ANN401 - click's own
    return Option(flags, help_text, group, key, metavar=metavar, **more)


def _flag(key: str, flag: str, help_text: str, group: str = _TABLES) -> Option:
    name = flag.removeprefix("--")
    return _setting(key, f"--{name}/--no-{name}", None, help_text, group, default=None)


LAKE = _setting("lake", "--lake", "PLACE", "A directory, or s3://bucket/prefix. (./lake)", _WHAT)

#: Its properties have none: other programs see what is typed.
CATALOG = (
    _setting("catalog.kind", "--catalog", "KIND", "A catalog to keep up to date: glue, rest or sql. (none)", _CATALOG),
    _setting("catalog.database", "--catalog-database", "NAME", "What its tables stand in. (ivs)", _CATALOG),
    _flag(
        "catalog.hive",
        "--hive-tables",
        "With glue: also tables that need no publishing, events_hive and so on. (yes)",
        _CATALOG,
    ),
)

#: One option for each key of the settings' file, but for those of ``[[accounts]]``.
SETTINGS = (
    LAKE,
    _setting(
        "regions",
        "--region",
        "REGION",
        "A region to export; may be repeated. (AWS_REGION, AWS_DEFAULT_REGION, the profile's)",
        _WHAT,
        multiple=True,
    ),
    _setting("stages", "--stage", "ARN", "Only this stage; may be repeated. (all)", _WHAT, multiple=True),
    _setting(
        "exclude_stages",
        "--exclude-stage",
        "ARN",
        "Not this stage: it is neither listed nor exported; may be repeated. (none)",
        _WHAT,
        multiple=True,
    ),
    _flag("tables.stages", "--stages-table", "Write the table of stages. (yes)"),
    _flag("tables.sessions", "--sessions-table", "Write the table of sessions. (yes)"),
    _flag("tables.participants", "--participants-table", "Write the table of participants. (yes)"),
    _flag(
        "tables.details",
        "--details",
        "Ask for each participant's browser, system, provider and attributes: one call of GetParticipant for each"
        " row. (no)",
    ),
    _setting(
        "privacy.user_id",
        "--privacy-user-id",
        "MODE",
        "User ids: keep, hash (with the key in IVS_EXPORT_PRIVACY__KEY) or drop. (keep)",
        _TABLES,
    ),
    _setting(
        "privacy.attributes",
        "--privacy-attributes",
        "MODE",
        "Attributes of tokens: keep, drop, or the names of those to keep, commas between. (keep)",
        _TABLES,
    ),
    _setting(
        "privacy.extra", "--privacy-extra", "MODE", "What has no column of its own: keep or drop. (keep)", _TABLES
    ),
    _setting(
        "quota.calls_per_second",
        "--calls-per-second",
        "RATE",
        "Calls a second of each operation, in each scope. (5.0)",
        _QUOTA,
    ),
    _setting(
        "quota.reserve",
        "--reserve",
        "SHARE",
        "The share of it left to the account's other users, 0 to 0.9. (0.0)",
        _QUOTA,
    ),
    _setting("run.concurrency", "--concurrency", "COUNT", "Requests in flight in a scope, at most. (32)", _RUN),
    _setting(
        "run.checkpoint_s",
        "--checkpoint-s",
        "SECONDS",
        "The longest time between two commits of what was fetched. (300)",
        _RUN,
    ),
    _setting("run.deadline_s", "--deadline-s", "SECONDS", "Stop gracefully after this time; 0: never. (0)", _RUN),
    _setting(
        "run.active_sessions",
        "--active-sessions/--no-active-sessions",
        None,
        "Export what active sessions have so far. (yes)",
        _RUN,
        default=None,
    ),
    _setting(
        "run.grace_s",
        "--grace-s",
        "SECONDS",
        "How long after its end a session may still get events. (900)",
        _RUN,
    ),
    _setting(
        "run.give_up_days",
        "--give-up-days",
        "DAYS",
        "How long a refused participant of an ended session is tried again. (30)",
        _RUN,
    ),
    _setting("retry.attempts", "--retry-attempts", "COUNT", "Attempts at one call; throttles use none. (8)", _CALLS),
    _setting("retry.timeout_s", "--retry-timeout-s", "SECONDS", "For one call, all attempts together. (300)", _CALLS),
    _setting("http.connect_timeout_s", "--connect-timeout-s", "SECONDS", "To connect, at most. (5)", _CALLS),
    _setting(
        "http.read_timeout_s", "--read-timeout-s", "SECONDS", "To wait for more of an answer, at most. (20)", _CALLS
    ),
    _setting("s3.sse", "--s3-sse", "NAME", "Encryption: AES256 or aws:kms.", _S3),
    _setting("s3.kms_key_id", "--s3-kms-key-id", "ID", "The KMS key.", _S3),
    _setting(
        "s3.expected_bucket_owner",
        "--s3-expected-bucket-owner",
        "ACCOUNT",
        "The account that must own the bucket.",
        _S3,
    ),
    _setting("s3.storage_class", "--s3-storage-class", "NAME", "The storage class.", _S3),
    _setting("s3.acl", "--s3-acl", "NAME", "A canned ACL.", _S3),
    *CATALOG,
)

#: What one run is asked for: no settings, so the file has no keys for them.
RUN = (
    Option(
        "--targets",
        "Only what this list names, with the columns stage_arn, session_id and participant_id: CSV, JSON, Parquet, bare"
        " ARNs, or what AWS's command prints; a file, s3://bucket/key, or standard input (-). A row without the later"
        " ones stands for all below it.",
        _WHAT,
        metavar="FILE",
    ),
    Option(
        "--since",
        "Only sessions that had not ended before this date or ISO time; UTC unless it says otherwise.",
        _WHAT,
        metavar="TIME",
    ),
    Option("--until", "Only sessions that began before this date or time.", _WHAT, metavar="TIME"),
    Option("--refetch", "Also ask again for what is complete, and add what it lacks.", _WHAT, is_flag=True),
    Option(
        "--backfill-tables",
        "Also make the rows of the other tables for sessions that are complete without them.",
        _WHAT,
        is_flag=True,
    ),
    Option(
        "--dry-run",
        "List what would be fetched, and print units, calls and minutes; fetch and write nothing.",
        _WHAT,
        is_flag=True,
    ),
    Option("--wait", "Wait for a scope that another run holds.", _RUN, is_flag=True),
    Option("--tag", "A name for the runs of one night, kept in their records.", _RUN, metavar="TEXT"),
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
    "Also look for what is strange in the data: an event outside its session, a stop without a start. Only what is an"
    " error of the lake's makes exit code 1. Needs the extra `query`.",
    is_flag=True,
)
REBUILD = Option(
    "--rebuild",
    "Make each table anew from the log: where one does not fit it, or an engine has changed what it lists.",
    is_flag=True,
)
DROP = Option("--drop", "Take the tables' entries out of the catalog, and no file away.", is_flag=True)
DRY_REPAIR = Option("--dry-run", "Say what would be done to which file, and change nothing.", is_flag=True)
MEMORY = _setting(
    "query.memory_gib",
    "--memory-gib",
    "GIB",
    "How much memory the question may take; what is more goes through the temporary folder. (2.0)",
    _QUERY,
)
SQL = click.Argument(["sql"], required=False, metavar='["SQL"]')
FORMAT = Option(
    "--format",
    "table, csv, or json (an array of objects).",
    _QUERY,
    metavar="FORMAT",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
)
_FLAGS = {option.key: option.opts[0] for option in (*SETTINGS, MEMORY)}


def flag_of(key: tuple[str, ...]) -> str:
    """The option that sets a key of the settings."""
    return _FLAGS[".".join(key)]


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
