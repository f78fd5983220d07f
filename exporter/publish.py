"""Publish: the files of a committed record become visible. Safe to repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.records import FileLine
    from exporter.store import Files


async def publish(files: Files, lines: Iterable[FileLine]) -> list[FileLine]:
    """Make the files visible under their keys; gives back those that are gone, neither staged nor visible."""
    return [line for line in lines if not await files.publish(line.staged)]
