"""A command of the program and the group of all: what click leaves open, and the form of the help texts."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from exporter.cli import exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.cli.invocation import Invocation

    #: What a command does: it takes what was typed, and returns the exit code.
    Body = Callable[[click.Context], int]

#: Help is as wide as its texts are written, however wide the terminal is.
HELP_WIDTH = 80
_OTHER_OPTIONS = "Options"


class Option(click.Option):
    """An option that stands in a group of the help.

    ``key`` is the way to the setting that it sets, as in the settings' file: ``run.checkpoint_s``; None where it sets
    none. A default that its help text does not name is named after it.
    """

    def __init__(
        self,
        flags: str,
        help_text: str,
        group: str = _OTHER_OPTIONS,
        key: str | None = None,
        **more: Any,  # noqa: ANN401 - click's own attributes
    ) -> None:
        super().__init__(flags.split(), **more)
        self.group = group
        self.key = key
        is_default_shown = "default" in more and not (self.is_flag or self.multiple) and more["default"] is not None
        self.help = f"{help_text} ({more['default']})" if is_default_shown else help_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:  # noqa: ARG002 - click's own
        """The option as help shows it: its flags with what they take, and its text."""
        flags = ", ".join(self.opts) + "".join(f" / {flag}" for flag in self.secondary_opts)
        return flags if self.metavar is None else f"{flags} {self.metavar}", self.help or ""


class Command(click.Command):
    """A command: its options, its docstring as help, its exit codes, and a body that takes the context alone."""

    def __init__(self, body: Body, options: tuple[click.Parameter, ...]) -> None:
        super().__init__(body.__name__, help=inspect.getdoc(body), params=list(options))
        self.body = body

    def invoke(self, ctx: click.Context) -> int:
        """Carry the command out, and return its exit code."""
        return self.body(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text: usage, what the command does, its options by group, and its exit codes."""
        _write_head(self, ctx, formatter)
        groups: dict[str, list[tuple[str, str]]] = {_OTHER_OPTIONS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):  # which the usage shows
                groups.setdefault(getattr(parameter, "group", _OTHER_OPTIONS), []).append(record)
        for name, records in groups.items():
            _write_section(formatter, name, records)
        meanings = exit_codes.MEANINGS[self.name or ""]
        _write_section(formatter, "Exit codes", [(", ".join(map(str, codes)), text) for codes, text in meanings])


class Program(click.Group):
    """The program: a group of commands."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help text: usage, what the program does, its options, and its commands in their order."""
        _write_head(self, ctx, formatter)
        records = (parameter.get_help_record(ctx) for parameter in self.get_params(ctx))
        _write_section(formatter, _OTHER_OPTIONS, [record for record in records if record is not None])
        commands = [(name, (command.help or "").partition("\n")[0]) for name, command in self.commands.items()]
        _write_section(formatter, "Commands", commands)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own
        """The commands in the order in which a user meets them."""
        return list(self.commands)


def command(*options: click.Parameter) -> Callable[[Body], Command]:
    """Make a command of a function with these options and arguments; its docstring is the help, at most 80 wide."""
    return lambda body: Command(body, options)


def invocation_of(context: click.Context) -> Invocation:
    """The start of the program that the command belongs to."""
    invocation: Invocation = context.obj
    return invocation


def _write_head(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    command.format_usage(ctx, formatter)
    formatter.write_paragraph()
    formatter.write(f"{command.help or ''}\n")


def _write_section(formatter: click.HelpFormatter, name: str, records: list[tuple[str, str]]) -> None:
    with formatter.section(name):
        formatter.write_dl(records)
