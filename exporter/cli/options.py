"""The options of commands: one for each key of the file, as text, so that all are checked in one place.

A help text ends with the default in brackets; a test compares it with the settings' own.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

_WHAT = "What to export, and where to"
_QUOTA = "Quota"
_RUN = "The run"
_CALLS = "Calls"
_S3 = "S3, passed on with each object"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A TOML file with settings; else the one that IVS_EXPORT_CONFIG names."),
]
Runs = Annotated[int, typer.Option(min=1, metavar="COUNT", help="How many of each scope's last runs.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="List what would be fetched, and tell units, calls and minutes; fetch and write nothing.",
        rich_help_panel=_WHAT,
    ),
]
DryRepair = Annotated[bool, typer.Option("--dry-run", help="Say what would be done to which file, and change nothing.")]
AcceptMissing = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PARTITION",
        help="The files of this partition were removed on purpose: event_date=2025-01-01, or a range such as"
        " event_date=2025-01-01..2025-01-31; session_date= and exported_date= alike. May be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]
Level = Annotated[
    LogLevel, typer.Option(envvar="IVS_EXPORT_LOG_LEVEL", help="How much to log; debug shows a bug's traceback.")
]

Lake = Annotated[
    str | None,
    typer.Option(metavar="PLACE", help="A directory, or s3://bucket/prefix. (./lake)", rich_help_panel=_WHAT),
]
Region = Annotated[
    list[str] | None,
    typer.Option(
        metavar="REGION",
        help="A region to export; may be repeated. (AWS_REGION, AWS_DEFAULT_REGION, the profile's)",
        rich_help_panel=_WHAT,
    ),
]
Stage = Annotated[
    list[str] | None,
    typer.Option(metavar="ARN", help="Only this stage; may be repeated. (all)", rich_help_panel=_WHAT),
]
ExcludeStage = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ARN",
        help="Not this stage: it is neither listed nor exported; may be repeated. (none)",
        rich_help_panel=_WHAT,
    ),
]
Targets = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Only what this list names, with the columns stage_arn, session_id and participant_id: CSV, JSON, Parquet,"
        " bare ARNs, or what AWS's command prints; a file, s3://bucket/key, or standard input (-). A row without the"
        " later ones stands for all below it.",
        rich_help_panel=_WHAT,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only sessions that had not ended before this date or ISO time; UTC unless it says otherwise.",
        rich_help_panel=_WHAT,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only sessions that began before this date or time.", rich_help_panel=_WHAT),
]
Refetch = Annotated[
    bool,
    typer.Option(
        "--refetch", help="Also ask again for what is complete, and add what it lacks.", rich_help_panel=_WHAT
    ),
]

CallsPerSecond = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="Calls a second of each operation, in each scope. (5.0)", rich_help_panel=_QUOTA),
]
Reserve = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="The share of it left to the account's other users, 0 to 0.9. (0.0)",
        rich_help_panel=_QUOTA,
    ),
]

Wait = Annotated[bool, typer.Option("--wait", help="Wait for a scope that another run holds.", rich_help_panel=_RUN)]
Tag = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="A name for the runs of one night, kept in their records.", rich_help_panel=_RUN),
]
Concurrency = Annotated[
    str | None,
    typer.Option(metavar="COUNT", help="Requests in flight in a scope, at most. (32)", rich_help_panel=_RUN),
]
CheckpointS = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="Commit at least so often what was fetched. (300)", rich_help_panel=_RUN),
]
DeadlineS = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="Stop gracefully after so long; 0: never. (0)", rich_help_panel=_RUN),
]
ActiveSessions = Annotated[
    bool | None,
    typer.Option(help="Export what active sessions have so far. (yes)", show_default=False, rich_help_panel=_RUN),
]
GraceS = Annotated[
    str | None,
    typer.Option(
        metavar="SECONDS", help="How long after its end a session may still get events. (900)", rich_help_panel=_RUN
    ),
]
GiveUpDays = Annotated[
    str | None,
    typer.Option(
        metavar="DAYS",
        help="How long a refused participant of an ended session is tried again. (30)",
        rich_help_panel=_RUN,
    ),
]

RetryAttempts = Annotated[
    str | None,
    typer.Option(metavar="COUNT", help="Attempts at one call; throttles use none. (8)", rich_help_panel=_CALLS),
]
RetryTimeoutS = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="For one call, all attempts together. (300)", rich_help_panel=_CALLS),
]
ConnectTimeoutS = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="To connect, at most. (5)", rich_help_panel=_CALLS)
]
ReadTimeoutS = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="To wait for more of an answer, at most. (20)", rich_help_panel=_CALLS),
]

S3Sse = Annotated[str | None, typer.Option(metavar="NAME", help="Encryption: AES256 or aws:kms.", rich_help_panel=_S3)]
S3KmsKeyId = Annotated[str | None, typer.Option(metavar="ID", help="The KMS key.", rich_help_panel=_S3)]
S3ExpectedBucketOwner = Annotated[
    str | None, typer.Option(metavar="ACCOUNT", help="The account that must own the bucket.", rich_help_panel=_S3)
]
S3StorageClass = Annotated[str | None, typer.Option(metavar="NAME", help="The storage class.", rich_help_panel=_S3)]
S3Acl = Annotated[str | None, typer.Option(metavar="NAME", help="A canned ACL.", rich_help_panel=_S3)]
