"""``ivs-export emulate``."""

import typer


def emulate(context: typer.Context) -> int:
    """Serve an emulated IVS."""
    return 0
