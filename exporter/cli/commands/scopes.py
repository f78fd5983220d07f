"""``ivs-export scopes``: what the configuration names."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(setting_options.REGION, options.CONFIG, options.JSON)
def scopes(context: click.Context) -> int:
    """List the accounts and regions that the configuration names, a line each.

    A line is ACCOUNT/REGION, or base/REGION where the run's own credentials
    say which account it is. `run --shard I/N` counts over these lines. AWS is
    not asked, and no credentials are needed.

    Examples:
      ivs-export scopes --config /etc/ivs-export.toml
      ivs-export scopes --region eu-west-1 --region us-east-1 --json
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import scopes as scopes_action  # noqa: PLC0415 - slower still; a wrong setting does without

    return scopes_action.show_scopes(invocation_of(context), settings)
