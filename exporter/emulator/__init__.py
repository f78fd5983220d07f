"""A local Amazon IVS Real-Time: the five read calls, signed and paged as AWS does, over a world that is made up.

It is good enough to develop and test an exporter against without an AWS account::

    async with Emulator(EmulatorOptions()) as emulator:
        ...  # clients call emulator.url with the keys "emulator" / "emulator"
"""

from exporter.emulator.options import Account, EmulatorOptions, QuotaOptions, RoleOptions, Size, WorldOptions
from exporter.emulator.server import Emulator, serve
from exporter.emulator.world.fixed_world import FixedWorld

__all__ = [
    "Account",
    "Emulator",
    "EmulatorOptions",
    "FixedWorld",
    "QuotaOptions",
    "RoleOptions",
    "Size",
    "WorldOptions",
    "serve",
]
