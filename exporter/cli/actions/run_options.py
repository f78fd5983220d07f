"""What one run is asked for, as it was typed, and the request that it becomes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from exporter.cli.actions.scope_options import ALL_SCOPES, ScopeOptions
from exporter.discovery.request import Period, Request
from exporter.errors import UsageError
from exporter.telemetry.logger import Logger
from exporter.text import shown
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.discovery.target_list import Targets
    from exporter.settings import TableSettings

_log = Logger(__name__)
_DATE_LENGTH = len("2026-11-23")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What one run is asked for, as it was typed; the settings' file has no keys for it."""

    targets: str | None = None
    since: str | None = None
    until: str | None = None
    refetch: bool = False
    backfill_tables: bool = False
    tag: str | None = None
    scopes: ScopeOptions = ALL_SCOPES

    def check(self, tables: TableSettings) -> None:
        """Raise :class:`UsageError` where tables are to be filled that are switched off."""
        if self.backfill_tables and not (tables.stages or tables.sessions or tables.participants):
            raise UsageError("--backfill-tables has nothing to fill: every table but events is switched off")

    def request(self, stages: Sequence[str] = ()) -> Request:
        """What was typed, read and checked. A list that names no stage is of the one in ``stages``.

        Raises :class:`UsageError`, and for a list on S3 what its store raises.
        """
        since_us, until_us = _moment("--since", self.since), _moment("--until", self.until)
        if since_us is not None and until_us is not None and until_us <= since_us:
            raise UsageError(f"--until {self.until} is not after --since {self.since}")
        period = Period(since_us, until_us)
        if self.backfill_tables and (self.targets is not None or not period.is_unbounded):
            limit = "--targets" if self.targets is not None else "--since and --until"
            raise UsageError(f"--backfill-tables is of the whole lake: leave out {limit}")
        stage_arn = stages[0] if len(stages) == 1 else None
        named = None if self.targets is None else _read_list(self.targets, stage_arn)
        for note in named.notes if named else ():
            _log.warning(note)
        return Request(named, period, refetch=self.refetch, backfill_tables=self.backfill_tables, tag=self.tag)


def _read_list(source: str, stage_arn: str | None) -> Targets:
    from exporter.discovery import target_list  # noqa: PLC0415 - knows many formats; most runs have no list

    return target_list.read(source, stage_arn, open_on_s3)


def open_on_s3(address: str) -> IO[bytes]:
    """A list of targets at ``s3://bucket/key``, read with the run's own credentials. Raises as its store does."""
    from exporter.aws.sessions import open_session  # noqa: PLC0415 - brings aioboto3; a list in a file does without
    from exporter.lake.stores.s3.object import copy_of  # noqa: PLC0415 - the same
    from exporter.lake.stores.s3.sessions import s3_session  # noqa: PLC0415 - the same

    return asyncio.run(copy_of(address, s3_session(open_session())))


def _moment(option: str, text: str | None) -> int | None:
    """A date or a time in microseconds since the epoch."""
    if text is None:
        return None
    micros = read_us(f"{text}T00" if len(text) == _DATE_LENGTH else text)
    if micros is None:
        raise UsageError(f"{option} {shown(text)} is no date and no ISO time, such as 2026-11-23 or 2026-11-23T15:04Z")
    return micros
