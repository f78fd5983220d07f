"""A local Amazon IVS Real-Time: its read calls, signed and paged as AWS does, over a world that is made up.

It is good enough to develop and test an exporter against without an AWS account::

    async with Emulator(EmulatorOptions()) as emulator:
        ...  # clients call emulator.url with the keys "emulator" / "emulator"
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
from exporter.emulator.world.fixed_world import FixedWorld

__all__ = [
    "Account",
    "ClockOptions",
    "Emulator",
    "EmulatorOptions",
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
    "serve",
]
