"""A local Amazon IVS Real-Time: its read calls, signed and paged as AWS does, over a world that is made up.

It is good enough to develop and test an exporter against without an AWS account::

    async with Emulator(EmulatorOptions()) as emulator:
        ...  # clients call emulator.url with the keys "emulator" / "emulator"

`EmulatorThread` is the same for programs without an event loop, and docs/emulator.md describes all of it.
"""

from exporter.emulator.options import (
    Account,
    ClockOptions,
    EmulatorOptions,
    ListenOptions,
    PagingOptions,
    QuotaOptions,
    RoleOptions,
    ServiceOptions,
    Size,
    WorldOptions,
    WorldShape,
    WorldTimes,
)
from exporter.emulator.server import Emulator, serve
from exporter.emulator.threaded import EmulatorThread
from exporter.emulator.world.fixed_world import FixedWorld
from exporter.emulator.world_file import read_world_file, worlds_of

__all__ = [
    "Account",
    "ClockOptions",
    "Emulator",
    "EmulatorOptions",
    "EmulatorThread",
    "FixedWorld",
    "ListenOptions",
    "PagingOptions",
    "QuotaOptions",
    "RoleOptions",
    "ServiceOptions",
    "Size",
    "WorldOptions",
    "WorldShape",
    "WorldTimes",
    "read_world_file",
    "serve",
    "worlds_of",
]
