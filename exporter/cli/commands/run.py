"""``ivs-export run``: its options, handed on as settings and wishes."""

import typer

from exporter.cli import options


def run(  # noqa: PLR0917 - a command's parameters are its options; nobody passes them by position
    context: typer.Context,
    lake: options.Lake = None,
    region: options.Region = None,
    stage: options.Stage = None,
    exclude_stage: options.ExcludeStage = None,
    targets: options.Targets = None,
    since: options.Since = None,
    until: options.Until = None,
    refetch: options.Refetch = False,  # noqa: FBT002 - the same
    dry_run: options.DryRun = False,  # noqa: FBT002 - the same
    calls_per_second: options.CallsPerSecond = None,
    reserve: options.Reserve = None,
    wait: options.Wait = False,  # noqa: FBT002 - the same
    tag: options.Tag = None,
    concurrency: options.Concurrency = None,
    checkpoint_s: options.CheckpointS = None,
    deadline_s: options.DeadlineS = None,
    active_sessions: options.ActiveSessions = None,
    grace_s: options.GraceS = None,
    give_up_days: options.GiveUpDays = None,
    retry_attempts: options.RetryAttempts = None,
    retry_timeout_s: options.RetryTimeoutS = None,
    connect_timeout_s: options.ConnectTimeoutS = None,
    read_timeout_s: options.ReadTimeoutS = None,
    s3_sse: options.S3Sse = None,
    s3_kms_key_id: options.S3KmsKeyId = None,
    s3_expected_bucket_owner: options.S3ExpectedBucketOwner = None,
    s3_storage_class: options.S3StorageClass = None,
    s3_acl: options.S3Acl = None,
    config: options.Config = None,
    json: options.Json = False,  # noqa: ARG001, FBT002 - read from the arguments, so that it counts where they are wrong
    log_level: options.Level = options.LogLevel.INFO,
) -> int:
    """Export all events that the lake does not have yet.

    Every participant of every session of every stage in the regions given, at
    the API's quota of 5 calls a second for each operation. Credentials,
    profiles and endpoints are found as every AWS tool finds them.

    Examples:
      ivs-export run --region eu-west-1
      ivs-export run --region eu-west-1 --lake s3://my-lake/ivs
      ivs-export run --region us-east-1 --since 2026-11-01 --until 2026-11-08
      ivs-export run --targets sessions.csv --json
      ivs-export run --region eu-west-1 --dry-run

    What has a key in the settings' file can be given in three ways, the
    first of which counts: an option, a variable such as IVS_EXPORT_LAKE or
    IVS_EXPORT_QUOTA__RESERVE, or the file that --config names. Where regions
    are given, stages and targets must lie in them; where none are, those of
    the stages and targets are meant.

    Exit codes: 0 all is exported, 1 failed, 2 wrong usage, 3 in part, 4 held
    by another run, 129, 130 and 143 stopped by a signal.
    """
    given = {
        "lake": lake,
        "regions": region,
        "stages": stage,
        "exclude_stages": exclude_stage,
        "quota": {"calls_per_second": calls_per_second, "reserve": reserve},
        "run": {
            "concurrency": concurrency,
            "checkpoint_s": checkpoint_s,
            "deadline_s": deadline_s,
            "active_sessions": active_sessions,
            "grace_s": grace_s,
            "give_up_days": give_up_days,
        },
        "retry": {"attempts": retry_attempts, "timeout_s": retry_timeout_s},
        "http": {"connect_timeout_s": connect_timeout_s, "read_timeout_s": read_timeout_s},
        "s3": {
            "sse": s3_sse,
            "kms_key_id": s3_kms_key_id,
            "expected_bucket_owner": s3_expected_bucket_owner,
            "storage_class": s3_storage_class,
            "acl": s3_acl,
        },
    }
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(given, config)
    from exporter.cli.actions import run as run_action  # noqa: PLC0415 - slower still; a wrong setting does without

    wishes = run_action.Wishes(targets, since, until, refetch, wait, dry_run, tag)
    return run_action.export(context.obj, settings, wishes, log_level)
