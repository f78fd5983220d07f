"""``ivs-export doctor``: all that a run needs, asked before the first one."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import Option, command, invocation_of

POLICY = Option("--policy", "Print the least IAM policy for these settings, and check nothing.", is_flag=True)


@command(*setting_options.SETTINGS, POLICY, options.CONFIG, options.JSON)
def doctor(context: click.Context) -> int:
    """Check all that a run with these settings needs, in seconds.

    It checks this machine, the network, the clock, credentials and roles,
    where the stages are, each read operation once, and the lake; and, if they
    are configured, the catalog, the hosts of notices and the metrics' file.
    It prints a line for each, with what to do if something is wrong. Nothing
    is exported, published or sent; what is written to try the lake is removed.

    Examples:
      ivs-export doctor --region eu-west-1
      ivs-export doctor --region eu-west-1 --lake s3://my-lake/ivs --json
      ivs-export doctor --region eu-west-1 --lake s3://my-lake/ivs --policy
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import doctor as doctor_action  # noqa: PLC0415 - slower still; a wrong setting does without

    if context.params["policy"]:
        return doctor_action.print_policy(invocation_of(context), settings)
    return doctor_action.examine(invocation_of(context), settings)
