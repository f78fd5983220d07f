"""``ivs-export run``: what was typed, passed on as settings and as the run's options."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(*setting_options.SETTINGS, *options.RUN, options.CONFIG, options.JSON, options.LOG_LEVEL)
def run(context: click.Context) -> int:
    """Export all events that the lake does not have yet.

    It fetches the events of every participant of every session of every stage
    in the regions, at the API's quota of 5 calls a second for each operation.
    Credentials, profiles and endpoints are found as by every AWS tool.

    Examples:
      ivs-export run --region eu-west-1
      ivs-export run --region eu-west-1 --lake s3://my-lake/ivs
      ivs-export run --region us-east-1 --since 2026-11-01 --until 2026-11-08
      ivs-export run --targets sessions.csv --json
      ivs-export run --region eu-west-1 --dry-run

    A setting can be an option, a variable such as IVS_EXPORT_LAKE or
    IVS_EXPORT_QUOTA__RESERVE, or a key in the file that --config names; the
    first of these counts. If regions are named, stages and targets must be in
    them; else the regions are those of the stages and targets.
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    typed_settings, config = options.typed_settings(context), context.params["config"]
    settings = settings_sources.load(typed_settings, config)
    from exporter.cli.actions.run import export  # noqa: PLC0415 - slower still; a wrong setting does without
    from exporter.cli.actions.run_options import RunOptions  # noqa: PLC0415 - the same
    from exporter.cli.actions.scope_options import ScopeOptions, load_configured  # noqa: PLC0415 - the same

    typed = options.typed_run_options(context)
    is_dry = typed.pop("dry_run")
    configured = load_configured(typed_settings, config) if typed["shard"] else None
    scopes = ScopeOptions(typed.pop("account"), typed.pop("shard"), typed.pop("wait"), configured)
    if (address := typed.pop("dask")) is not None:
        from exporter.cli.actions.dask import use_dask  # noqa: PLC0415 - most runs have no cluster

        use_dask(invocation_of(context), address, context.params["log_level"], config, is_dry=is_dry)
    asked = RunOptions(**typed, scopes=scopes)
    return export(invocation_of(context), settings, asked, context.params["log_level"], is_dry=is_dry)
