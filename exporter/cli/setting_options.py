"""The options that set a key of the settings' file, each declared once: flag, key, what it takes, help text.

`SETTINGS` joins a setting's option, its key in the settings' file and its field in `exporter.settings` by one name, the
key. Their values are passed on as the text that was typed: `exporter.settings` checks those of all sources alike. A
help text ends with the setting's default in brackets; a test compares it with the settings' own, which are slow to
import. What may be a secret has no option: others on the machine see what was typed.
"""

from typing import Any

from exporter.cli.command import Option

#: Groups of the help that further options stand in.
WHAT = "What to export, and where to"
THE_RUN = "The run"
QUESTION = "The query"
_TABLES = "Tables and privacy"
_QUOTA = "Quota"
_CALLS = "Calls"
_S3 = "S3, passed on with each object"
_CATALOG = "The catalog"
_WATCHING = "Watching"


def _setting(key: str, flags: str, metavar: str | None, help_text: str, group: str, **more: Any) -> Option:  # noqa: ANN401 - click's own
    return Option(flags, help_text, group, key, metavar=metavar, **more)


def _flag(key: str, flag: str, help_text: str, group: str = _TABLES) -> Option:
    name = flag.removeprefix("--")
    return _setting(key, f"--{name}/--no-{name}", None, help_text, group, default=None)


LAKE = _setting("lake", "--lake", "PLACE", "A directory, or s3://bucket/prefix. (./lake)", WHAT)

#: Its properties have none: other programs see what is typed.
CATALOG = (
    _setting("catalog.kind", "--catalog", "KIND", "A catalog to keep up to date: glue, rest or sql. (none)", _CATALOG),
    _setting("catalog.database", "--catalog-database", "NAME", "The database of its tables. (ivs)", _CATALOG),
    _flag(
        "catalog.hive",
        "--hive-tables",
        "With glue: also tables that need no publishing, events_hive and so on. (yes)",
        _CATALOG,
    ),
    _setting(
        "catalog.compact_mib",
        "--compact-mib",
        "MIB",
        "How many MiB of small files publish --compact merges into one. (128.0)",
        _CATALOG,
    ),
)

REGION = _setting(
    "regions",
    "--region",
    "REGION",
    "A region to export; may be repeated. (AWS_REGION, AWS_DEFAULT_REGION, the profile's)",
    WHAT,
    multiple=True,
)

#: One option for each key of the settings' file, but for those of ``[[accounts]]``.
SETTINGS = (
    LAKE,
    REGION,
    _setting("stages", "--stage", "ARN", "Only this stage; may be repeated. (all)", WHAT, multiple=True),
    _setting(
        "exclude_stages",
        "--exclude-stage",
        "ARN",
        "Not this stage: it is neither listed nor exported; may be repeated. (none)",
        WHAT,
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
    _setting("privacy.extra", "--privacy-extra", "MODE", "Fields that have no column: keep or drop. (keep)", _TABLES),
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
    _setting("run.concurrency", "--concurrency", "COUNT", "Requests in flight in a scope, at most. (32)", THE_RUN),
    _setting(
        "run.checkpoint_s",
        "--checkpoint-s",
        "SECONDS",
        "The longest time between two commits. (300)",
        THE_RUN,
    ),
    _setting("run.deadline_s", "--deadline-s", "SECONDS", "Stop gracefully after this time; 0: never. (0)", THE_RUN),
    _setting(
        "run.active_sessions",
        "--active-sessions/--no-active-sessions",
        None,
        "Export what active sessions have so far. (yes)",
        THE_RUN,
        default=None,
    ),
    _setting(
        "run.grace_s",
        "--grace-s",
        "SECONDS",
        "How long after its end a session may still get events. (900)",
        THE_RUN,
    ),
    _setting(
        "run.give_up_days",
        "--give-up-days",
        "DAYS",
        "How long a refused participant of an ended session is tried again. (30)",
        THE_RUN,
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
    _setting(
        "notify.on",
        "--notify-on",
        "WHEN",
        "When the webhook and the topic get a notice: problem (any exit code but 0) or always. (problem)",
        _WATCHING,
    ),
    _setting("notify.sns_topic_arn", "--sns-topic-arn", "ARN", "The SNS topic that gets the notice.", _WATCHING),
    _setting(
        "telemetry.metrics_file",
        "--metrics-file",
        "FILE",
        "Write the run's numbers to this file, for Prometheus.",
        _WATCHING,
    ),
    _setting(
        "telemetry.log_format",
        "--log-format",
        "FORMAT",
        "Log lines: json, text, or auto: text on a terminal, else json. (auto)",
        _WATCHING,
    ),
)
MEMORY = _setting(
    "query.memory_gib",
    "--memory-gib",
    "GIB",
    "How much memory the query may take; what needs more goes through the temporary folder. (2.0)",
    QUESTION,
)
_FLAGS = {option.key: option.opts[0] for option in (*SETTINGS, MEMORY)}


def flag_of(key: tuple[str, ...]) -> str:
    """The option that sets a key of the settings."""
    return _FLAGS[".".join(key)]
