"""What a record says of its sessions is decided at one moment, though the lake's files are read for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.session_status import SessionStatus
from exporter.commit_log.state import ScopeState, SessionState
from exporter.model import Session
from exporter.normalize.columns import Stamp
from exporter.normalize.privacy import KEEP_ALL
from exporter.pipeline.checkpoint import Checkpoint
from exporter.pipeline.session_decisions import SessionDecider
from exporter.settings import TableSettings
from tests.support.service import DAY_US, STAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from exporter.model import SessionKey

GRACE_US = 900_000_000


def opened_again(session_id: str) -> SessionProgress:
    """A session whose log does not say which units had how many of its rows."""
    session = Session(STAGE, session_id, DAY_US - 1, DAY_US)
    return SessionProgress(session, GRACE_US, SessionState(DAY_US - 1, DAY_US, is_unsure=True), SessionStatus.OPEN)


def list_to_the_end(progress: SessionProgress) -> None:
    progress.listed(DAY_US + GRACE_US, is_flawless=True)


class SlowFiles:
    """Counts seven rows of each session that it is asked for; ``meanwhile`` something else happens."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    async def counts(self, sessions: Iterable[SessionProgress]) -> dict[SessionKey, int | None]:
        self._meanwhile()
        return {progress.session.key: 7 for progress in sessions}


async def test_a_session_that_is_done_while_files_are_read_is_left_to_the_next_record() -> None:
    """Its list comes to its end meanwhile: nobody has counted its rows, so it is not sealed without them."""
    first, second = opened_again("st-1"), opened_again("st-2")
    list_to_the_end(first)
    checkpoint = Checkpoint()
    for progress in (first, second):
        checkpoint.work_on(progress)
    files: Any = SlowFiles(lambda: list_to_the_end(second))
    decider = SessionDecider(ScopeState(), TableSettings(), KEEP_ALL, files, {})

    decided = await decider.decide(checkpoint, Stamp("r1", DAY_US))
    assert decided.sealed == {first.session.name}
    rows = decided.rows
    assert rows is not None
    assert dict(zip(rows.column("session_id").to_pylist(), rows.column("event_count").to_pylist(), strict=True)) == {
        "st-1": 7,
        "st-2": None,
    }

    decided = await decider.decide(checkpoint, Stamp("r1", DAY_US))
    assert decided.sealed == {first.session.name, second.session.name}
    assert decided.rows is not None
    assert decided.rows.column("event_count").to_pylist() == [7, 7]
