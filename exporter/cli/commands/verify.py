"""``ivs-export verify``: the lake read against its logs."""

import typer

from exporter.cli import options


def verify(
    context: typer.Context,
    lake: options.Lake = None,
    accept_missing: options.AcceptMissing = None,
    config: options.Config = None,
    json: options.Json = False,  # noqa: ARG001, FBT002 - read from the arguments, so that it counts where they are wrong
) -> int:
    """Read the whole lake, and compare it with what its logs say.

    The logs are whole and fit together, every file is there with the right
    checksum and rows, none is there that no record names, no event stands
    twice in a unit, and each row lies in its date. Each problem is told with
    what to do about it. Nothing is changed, but for --accept-missing.

    Examples:
      ivs-export verify
      ivs-export verify --lake s3://my-lake/ivs --json
      ivs-export verify --accept-missing event_date=..2025-01-31

    Exit codes: 0 no problems, 1 problems, or the lake can't be read,
    2 wrong usage.
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load({"lake": lake}, config)
    from exporter.cli.actions import upkeep  # noqa: PLC0415 - slower still; a wrong setting does without

    return upkeep.verify_lake(context.obj, settings, accept_missing or ())
