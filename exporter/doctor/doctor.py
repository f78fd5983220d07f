"""All checks of a configuration, put together: those that need nothing of one another are made side by side."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from exporter.doctor import clock, identity, network, stages, watching
from exporter.doctor.catalog import CatalogInUse
from exporter.doctor.check import Examination, examined
from exporter.doctor.lake_on_disk import LakeOnDisk
from exporter.doctor.machine import check_open_files, check_temporary_folder
from exporter.doctor.operations import OPERATIONS, Operations
from exporter.doctor.way import Patience, WayToAws
from exporter.lake.stores.open import is_on_s3

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.doctor.check import Check
    from exporter.doctor.lake_on_s3 import LakeOnS3
    from exporter.machine.clock import Clock
    from exporter.settings import Settings

_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Doctor:
    """The checks of one configuration, and what they have asked so far."""

    way: WayToAws
    lake: LakeOnDisk | LakeOnS3
    catalog: CatalogInUse

    async def checks(self) -> AsyncIterator[Check]:
        """Make all checks, and give each in its order as soon as it is made."""
        settings = self.way.settings
        of_run = [*self._of_machine(), *self._of_aws(), *self.lake.examinations(), *self.catalog.examinations()]
        async for check in examined([*of_run, *watching.examinations(settings)]):
            yield check

    @property
    def calls(self) -> dict[str, Counter[str]]:
        """The calls that were made, by service and operation."""
        lake = Counter() if isinstance(self.lake, LakeOnDisk) else self.lake.calls
        return {"ivs": self.way.ivs_calls, "sts": self.way.sts_calls, "s3": lake}

    def _of_machine(self) -> list[Examination]:
        return [
            Examination("temporary-folder", check_temporary_folder),
            Examination("open-files", check_open_files),
        ]

    def _of_aws(self) -> list[Examination]:
        way, found = self.way, stages.StagesFound(self.way)
        operations = Operations(way, found)
        signed = ("network", "credentials")
        roles = [Examination(identity.ROLES, partial(identity.check_roles, way), ("credentials",))]
        roles = roles if way.settings.accounts else []
        after = tuple(examination.name for examination in roles)
        return [
            Examination(network.NAME, partial(network.check_network, way)),
            Examination(clock.NAME, partial(clock.check_clock, way), ("network",), (stages.NAME,)),
            Examination(identity.CREDENTIALS, partial(identity.check_credentials, way)),
            *roles,
            Examination(stages.NAME, found.check, signed, after),
            *(
                Examination(operation, partial(operations.check, operation), signed, (stages.NAME,))
                for operation in OPERATIONS
            ),
        ]


@asynccontextmanager
async def open_doctor(
    settings: Settings, wall_clock: Clock, run_id: str, patience: Patience = _PATIENCE
) -> AsyncIterator[Doctor]:
    """Prepare the checks of a configuration; what they open and write is closed and removed at the end.

    ``run_id`` is no other's: trials are named after it.
    """
    async with (
        WayToAws(settings, wall_clock, run_id, patience) as way,
        _lake_of(way, run_id, patience) as lake,
        CatalogInUse(way, run_id) as catalog,
    ):
        yield Doctor(way, lake, catalog)


def _lake_of(way: WayToAws, run_id: str, patience: Patience) -> LakeOnDisk | LakeOnS3:
    if not is_on_s3(way.settings.lake):
        return LakeOnDisk(way.settings, run_id)
    from exporter.doctor.lake_on_s3 import LakeOnS3  # noqa: PLC0415 - brings aioboto3; a lake on a disk does without

    return LakeOnS3(way, run_id, patience)
