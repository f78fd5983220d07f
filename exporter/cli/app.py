"""The program: its commands, and the one place where every error becomes an exit code."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from exporter import __version__
from exporter.cli import exit_codes
from exporter.cli.commands.demo import demo
from exporter.cli.commands.emulate import emulate
from exporter.cli.commands.repair import repair
from exporter.cli.commands.run import run
from exporter.cli.commands.status import status
from exporter.cli.commands.verify import verify
from exporter.cli.invocation import Invocation
from exporter.errors import ExportError, UsageError
from exporter.text import foreign_words

if TYPE_CHECKING:
    from exporter.cli.invocation import Export

PROGRAM = "ivs-export"

app = typer.Typer(
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(status)
app.command()(verify)
app.command()(repair)
app.command()(emulate)
app.command()(demo)


def _show_version(asked: bool | None) -> None:  # noqa: FBT001 - called by Typer with the option's value
    if asked:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = None,
) -> None:
    """Export Amazon IVS Real-Time participant events into a lake of Parquet files.

    New here? Try: ivs-export demo
    """


def main(arguments: Sequence[str] | None = None, export: "Export | None" = None) -> int:
    """Run the program and return its exit code.

    ``arguments`` are the command line's where None is given; ``export`` is used in place of
    `exporter.pipeline.run.run`.
    """
    _open_missing_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation(is_json="--json" in given, export=export)
    try:
        invocation.signals.install()
        return _run(invocation, given)
    except BaseException as error:  # noqa: BLE001 - the last boundary: a bug must end in one line and a code, too
        return invocation.fail(_told(error))


class Bug(ExportError):
    """Something that should never happen did."""

    kind = "bug"


def _told(error: BaseException) -> ExportError:
    """The error as one of this program's own, for the user."""
    if isinstance(error, ExportError):
        return error
    if isinstance(error, OSError):
        return ExportError(f"the system refused: {error}")
    logging.getLogger(__name__).debug("a bug", exc_info=error)
    return Bug(f"a bug in {PROGRAM}: {type(error).__name__}: {foreign_words(error)}")


def _run(invocation: Invocation, arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name=PROGRAM, obj=invocation, standalone_mode=False)
    except typer.TyperException as error:
        raise UsageError(f"{error.format_message().rstrip('.')}; see {_help_of(arguments)}") from error
    except SystemExit as ended:  # how the options for completion end, and a help text whose reader has seen enough
        code = exit_codes.OK if isinstance(ended.__context__, BrokenPipeError) else ended.code
    return code if isinstance(code, int) else exit_codes.OK


def _help_of(arguments: list[str]) -> str:
    """How to ask for the help that fits."""
    known = [command.callback.__name__ for command in app.registered_commands if command.callback]
    return " ".join([PROGRAM, *(name for name in arguments[:1] if name in known), "--help"])


def _open_missing_streams() -> None:
    """Let what would go to a closed stream go nowhere: Python has None in its place, which nothing can write to."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the same
