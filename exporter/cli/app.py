"""The program: its commands, and the one boundary where every error becomes an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from exporter import __version__
from exporter.cli import exit_codes
from exporter.cli.command import HELP_WIDTH, Program
from exporter.cli.commands.config import config
from exporter.cli.commands.demo import demo
from exporter.cli.commands.doctor import doctor
from exporter.cli.commands.emulate import emulate
from exporter.cli.commands.publish import publish
from exporter.cli.commands.query import query
from exporter.cli.commands.repair import repair
from exporter.cli.commands.report import report
from exporter.cli.commands.run import run
from exporter.cli.commands.scopes import scopes
from exporter.cli.commands.sql import sql
from exporter.cli.commands.status import status
from exporter.cli.commands.verify import verify
from exporter.cli.invocation import Invocation
from exporter.errors import UsageError
from exporter.telemetry.unforeseen import judged

if TYPE_CHECKING:
    from exporter.cli.invocation import Export

PROGRAM = "ivs-export"
#: Set by the shell's script while it asks for completions. Source: click's documentation, "Shell Completion".
_COMPLETION = "_IVS_EXPORT_COMPLETE"
_ABOUT = """\
Export Amazon IVS Real-Time participant events into a lake of Parquet files.

New here? Try: ivs-export demo"""


def _show_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - called by click
    if is_asked and not context.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        context.exit()


app = Program(
    PROGRAM,
    help=_ABOUT,
    commands=[doctor, run, scopes, status, verify, repair, publish, query, sql, report, config, emulate, demo],
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": HELP_WIDTH},
)


def main(arguments: Sequence[str] | None = None, export: "Export | None" = None, early: Sequence[int] = ()) -> int:
    """Run the program and return its exit code.

    ``arguments`` are the command line's where None is passed; ``export`` is used in place of
    `exporter.pipeline.run.run`. ``early`` are the signals that came before this could be called.
    """
    _open_missing_streams()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation(is_json="--json" in typed, export=export)
    try:
        invocation.signals.install(early)
        return _run(invocation, typed)
    except BaseException as error:  # noqa: BLE001 - the last boundary
        return invocation.fail(judged(error))


def _run(invocation: Invocation, arguments: list[str]) -> int:
    try:
        code = app.main(
            args=arguments, prog_name=PROGRAM, complete_var=_COMPLETION, obj=invocation, standalone_mode=False
        )
    except click.ClickException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}; see {_help_of(arguments)}") from error
    except SystemExit as ended:  # how completion ends, and a help text whose reader has seen enough
        code = ended.code if _COMPLETION in os.environ else exit_codes.OK
    return code if isinstance(code, int) else exit_codes.OK


def _help_of(arguments: list[str]) -> str:
    """How to ask for the help that fits."""
    return " ".join([PROGRAM, *(name for name in arguments[:1] if name in app.commands), "--help"])


def _open_missing_streams() -> None:
    """Let what would go to a closed stream go nowhere: Python has None in its stead, which nothing can write to."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the same
