"""``ivs-export emulate``: its options, passed on."""

import click
from click.core import ParameterSource

from exporter.cli.command import Option, command, invocation_of
from exporter.cli.emulator_choices import PAGING, REGION, UNKNOWN
from exporter.errors import UsageError

_WORLD = "The world"
_SERVICE = "The service"
_SIZE = "COUNT|LOW:MEAN:HIGH"

_OPTIONS = (
    Option(
        "--port",
        "Where to listen on 127.0.0.1; 0: any free port.",
        type=click.IntRange(0, 65_535),
        default=0,
        metavar="PORT",
    ),
    Option("--region", f"A region with stages; may be repeated. ({REGION})", metavar="REGION", multiple=True),
    Option(
        "--account",
        "An account's twelve digits; may be repeated. (111122223333)",
        metavar="ID",
        multiple=True,
    ),
    Option(
        "--world",
        "A world written by hand, in TOML or JSON, instead of a seeded one.",
        _WORLD,
        metavar="FILE",
    ),
    Option("--seed", "Another number, another world.", _WORLD, type=int, default=1, metavar="NUMBER"),
    Option("--stages", "How many stages.", _WORLD, type=int, default=3, metavar="COUNT"),
    Option("--sessions", "Sessions of a stage.", _WORLD, default="2:4:40", metavar=_SIZE),
    Option("--participants", "Participants of a session.", _WORLD, default="1:8:5000", metavar=_SIZE),
    Option("--events", "Events of a participant.", _WORLD, default="2:24:20000", metavar=_SIZE),
    Option("--days", "How many days the sessions fill, up to now.", _WORLD, type=float, default=7.0, metavar="DAYS"),
    Option(
        "--active-share",
        "The share of stages whose last session goes on.",
        _WORLD,
        type=float,
        default=0.33,
        metavar="SHARE",
    ),
    Option(
        "--sleepless-share",
        "The share of stages whose one session never ends.",
        _WORLD,
        type=float,
        default=0.0,
        metavar="SHARE",
    ),
    Option("--lag-s", "Seconds until an event is listed, at most.", _WORLD, type=float, default=0.0, metavar="SECONDS"),
    Option("--hostile", "Fill texts with what breaks programs.", _WORLD, is_flag=True),
    Option(
        "--zoneless",
        "Write one time in five without a zone, as AWS may.",
        _WORLD,
        is_flag=True,
    ),
    Option("--calls-per-second", "The quota of each operation.", _SERVICE, type=float, default=5.0, metavar="RATE"),
    Option(
        "--paging",
        "Whether a list shifts under its reader, or stays as it was at its first page.",
        _SERVICE,
        default="live",
        metavar="|".join(PAGING),
    ),
    Option(
        "--unknown",
        "What an unknown stage, session or participant answers.",
        _SERVICE,
        default="not_found",
        metavar="|".join(UNKNOWN),
    ),
    Option("--role", "The role that each account has.", _SERVICE, default="ivs-export", metavar="NAME"),
    Option("--external-id", "The external id that assuming it needs. (none)", _SERVICE, metavar="TEXT"),
    Option(
        "--role-life-s",
        "Seconds that an assumed role lasts. (what is asked for, else 3600)",
        _SERVICE,
        type=float,
        metavar="SECONDS",
    ),
    Option(
        "--fault",
        "Such as 'throttle p=0.1', or 'reset units=1/10'; may be repeated.",
        _SERVICE,
        metavar="FAULT",
        multiple=True,
    ),
)


def _options_of_seeds(context: click.Context) -> list[str]:
    """What was typed that makes a seeded world."""
    return [
        option.opts[0]
        for option in _OPTIONS
        if (option.group == _WORLD or option.name == "region")
        and option.name not in (None, "world")
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]


@command(*_OPTIONS)
def emulate(context: click.Context) -> int:
    """Serve a made-up IVS Real-Time on this machine, until Ctrl-C.

    Calls are signed, paged, throttled and refused as AWS does, so that an
    export can be tried, tested and measured without an account. The same
    seed gives the same world, and --world takes one that you have written
    (docs/emulator.md). Each account has a world of its own in each
    region, and a role that the keys of the first account may assume.

    Examples:
      ivs-export emulate
      ivs-export emulate --port 4567 --stages 20 --participants 10:200:5000
      ivs-export emulate --calls-per-second 100 --region eu-west-1
      ivs-export emulate --world world.toml
      ivs-export emulate --fault "server_error operation=ListParticipants"
      ivs-export emulate --account 111122223333 --account 444455556666
    """
    from exporter.cli.actions import emulate as emulate_action  # noqa: PLC0415 - slow to import; --help does without

    if context.params["world"] and (others := _options_of_seeds(context)):
        raise UsageError(f"--world has stages of its own: leave out {', '.join(others)}")
    return emulate_action.serve(invocation_of(context), context.params)
