"""``ivs-export demo``."""

import typer


def demo(context: typer.Context) -> int:
    """Demo."""
    return 0
