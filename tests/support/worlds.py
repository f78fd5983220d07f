"""Seeded worlds, whose options are named without the groups that they stand in."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from exporter.emulator import Size, WorldOptions, WorldShape, WorldTimes


def world_options(**values: Any) -> WorldOptions:
    """The options of a world with these values, whether they are of its shape, its times or its own.

    Some of its times have no zone, where that is not said otherwise: the exporter reads those, too.
    """
    values = {"zoneless": True, **values}
    shape = {field.name: values.pop(field.name) for field in fields(WorldShape) if field.name in values}
    times = {field.name: values.pop(field.name) for field in fields(WorldTimes) if field.name in values}
    return WorldOptions(shape=WorldShape(**shape), times=WorldTimes(**times), **values)


def small_world(seed: int = 1, /, **changes: Any) -> WorldOptions:
    """A world of a few dozen units, some of several pages."""
    sizes = {"sessions": Size(1, 2, 4), "participants": Size(1, 5, 12), "events": Size(0, 50, 350)}
    return world_options(seed=seed, **{**sizes, **changes})
