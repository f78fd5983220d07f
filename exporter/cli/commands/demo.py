"""``ivs-export demo``: its one option, passed on."""

import click

from exporter.cli.command import Option, command, invocation_of

_LAKE = Option("--lake", "Where to put the demo's lake.", default="./demo-lake", metavar="DIRECTORY")


@command(_LAKE)
def demo(context: click.Context) -> int:
    """See it work: a made-up day, exported and asked three questions.

    Needs no account and no configuration, and uses none that is there. A lake
    that an earlier demo has left is made anew; nothing else is ever removed,
    and no real export goes there.

    Examples:
      ivs-export demo
      ivs-export demo --lake /tmp/demo-lake
    """
    from exporter.cli.actions import demo as demo_action  # noqa: PLC0415 - slow to import; --help does without

    return demo_action.demonstrate(invocation_of(context), context.params["lake"])
