"""Files of the lake that a run finds gone: the log lets go of them before anything is sealed, and the run says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.lost_files import let_go_of
from exporter.errors import FileLost
from exporter.text import counted
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.store import Store
    from exporter.ledger import ScopeLedger
    from exporter.machine.clock import Clock
    from exporter.model import SessionKey
    from exporter.pipeline.known_events import KnownEvents


class Losses:
    """What one scope's run has lost. ``known_events`` has the files that any step found gone.

    The mutable state: ``_lost`` are the files that the log has let go of, ``_reported`` those of them that are in the
    ledger, ``_opened`` the sessions that are open again for that, and ``_unsealed`` the names of those of them that
    this run works on, and that have noted it.
    """

    def __init__(
        self, store: Store, journal: Journal, ledger: ScopeLedger, clock: Clock, known_events: KnownEvents
    ) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._clock = clock
        self._known_events = known_events
        self._lost: set[str] = set()
        self._reported: set[str] = set()
        self._opened: set[SessionKey] = set()
        self._unsealed: set[str] = set()

    async def let_go(self, at_work: Mapping[str, SessionProgress]) -> None:
        """Commit which files were found gone, before what was fetched without them; so one of them is named no more.

        Sessions of theirs among those ``at_work``, by name, are not sealed. Raises as `let_go_of`.
        """
        known_events = self._known_events
        while gone := known_events.gone - self._lost:
            known_events.gone = set()
            lost, opened = await let_go_of(self._store, self._journal, gone, text_of(self._clock.wall_us()))
            self._lost |= lost
            self._opened |= opened
            for session in opened:
                known_events.forget(session)
        for name, progress in at_work.items():
            if name not in self._unsealed and progress.session.key in self._opened:
                self._unsealed.add(name)
                progress.lose(self._lost)

    def report(self) -> None:
        """Report in the ledger which files were lost, once for all of them."""
        unreported = self._lost - self._reported
        if not unreported:
            return
        self._reported |= unreported
        others = f" and {counted(len(unreported) - 1, 'other file')}" if len(unreported) > 1 else ""
        self._ledger.files_lost(
            FileLost(
                f"{min(unreported)}{others}, which the log named, {'are' if others else 'is'} gone:"
                f" {counted(len(self._opened), 'session')} opened again. Run again; put none back without"
                " `ivs-export repair` after it"
            )
        )
