"""``ivs-export report``: its options, checked and passed on."""

from pathlib import Path

import click

from exporter.cli import options, setting_options
from exporter.cli.command import Option, command, invocation_of

_OUT = Option(
    "--out",
    "The page to write; one that is there is replaced.",
    required=True,
    metavar="FILE.html",
)
_SESSION = Option(
    "--session",
    "Show this session in detail, instead of the three largest; may be repeated.",
    metavar="ID",
    multiple=True,
)


@command(
    _OUT,
    setting_options.LAKE,
    options.SINCE_DATE,
    options.UNTIL_DATE,
    _SESSION,
    setting_options.MEMORY,
    options.CONFIG,
    options.JSON,
)
def report(context: click.Context) -> int:
    """Show a lake to people: one HTML page that needs nothing else.

    How complete it is and how fresh; sessions, people, hours, peaks and
    failures by day and stage; and for the largest sessions who was there
    when, how many at once, who watched whom, waits and errors.

    Examples:
      ivs-export report --out report.html
      ivs-export report --out week.html --since 2026-11-16 --until 2026-11-23
      ivs-export report --out one.html --session st-reSssiZm0S655
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    typed = context.params
    settings = settings_sources.load(options.typed_settings(context), typed["config"])
    from exporter.cli.actions import report as report_action  # noqa: PLC0415 - slower still; a wrong setting does without

    asked = report_action.ReportOptions(Path(typed["out"]), typed["since"], typed["until"], typed["session"])
    return report_action.make_report(invocation_of(context), settings, asked)
