"""What `run --backfill-tables` has to do with sealed sessions that AWS lists no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.model import Session

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.archive import Archive
    from exporter.discovery.plan import ExportPlan


class Backfill:
    """Finds sealed sessions in the log's old records; of a run that is no backfill, none."""

    def __init__(self, plan: ExportPlan, archive: Archive) -> None:
        self._plan = plan
        self._archive = archive

    async def stages(self) -> set[str]:
        """The stages that have sealed sessions, listed or not."""
        return {stage_arn for stage_arn, _ in await self._archive.sealed_sessions()} if self._is_asked_for else set()

    async def unlisted_sessions(self, stage_arn: str, listed: AbstractSet[str]) -> list[Session]:
        """The sealed sessions of a stage that are not ``listed`` any more and lack rows of tables."""
        if not self._is_asked_for:
            return []
        return [
            Session(*session, entry.started_us, entry.ended_us, is_listed=False)
            for session, entry in sorted((await self._archive.sealed_sessions()).items())
            if session[0] == stage_arn and session[1] not in listed and self._plan.lacks_rows(entry.tables)
        ]

    @property
    def _is_asked_for(self) -> bool:
        return self._plan.request.backfill_tables
