"""``ivs-export config``: the settings' file, and other templates for a deployment."""

import click

from exporter.cli import templates
from exporter.cli.command import command, invocation_of
from exporter.cli.exit_codes import OK


@command(
    click.Argument(["template"], required=False, default=templates.SETTINGS),
    click.Option(["--list", "is_list"], is_flag=True, help="List the templates instead."),
)
def config(context: click.Context) -> int:
    """Print the settings' file, commented, with all defaults; or another template.

    The others are for systemd, cron, Kubernetes, AWS and the like: each says
    at its beginning how it is used.

    Examples:
      ivs-export config >ivs-export.toml
      ivs-export config --list
      ivs-export config kubernetes/cronjob.yaml
    """
    invocation = invocation_of(context)
    if context.params["is_list"]:
        invocation.say("\n".join(templates.names()))
    else:
        invocation.say(templates.text_of(context.params["template"]).rstrip("\n"))
    return OK
