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
    """What one scope's run has lost. ``present`` tells which files were found gone, by whatever step.

    The mutable state: ``_lost`` are the files that the log has let go of, ``_told`` those of them that the ledger
    knows, ``_opened`` the sessions that are open again for that, and ``_unsealed`` the names of those of them that this
    run works on, and that know it.
    """

    def __init__(self, store: Store, journal: Journal, ledger: ScopeLedger, clock: Clock, present: KnownEvents) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._clock = clock
        self._present = present
        self._lost: set[str] = set()
        self._told: set[str] = set()
        self._opened: set[SessionKey] = set()
        self._unsealed: set[str] = set()

    def has_opened(self, session: SessionKey) -> bool:
        """Whether a session is open again, for a file of it was lost."""
        return session in self._opened

    async def let_go(self, at_work: Mapping[str, SessionProgress]) -> None:
        """Commit which files were found gone, before what was fetched without them; so one of them is named no more.

        Sessions of theirs among those ``at_work``, by name, are not sealed. Raises as `let_go_of`.
        """
        present = self._present
        while gone := present.gone - self._lost:
            present.gone = set()
            lost, opened = await let_go_of(self._store, self._journal, gone, text_of(self._clock.wall_us()))
            self._lost |= lost
            self._opened |= opened
            for session in opened:
                present.forget(session)
        for name, tracked in at_work.items():
            if name not in self._unsealed and tracked.session.key in self._opened:
                self._unsealed.add(name)
                tracked.lose(self._lost)

    def report(self) -> None:
        """Report in the ledger which files were lost, once for all of them."""
        untold = self._lost - self._told
        if not untold:
            return
        self._told |= untold
        others = f" and {counted(len(untold) - 1, 'other file')}" if len(untold) > 1 else ""
        self._ledger.files_lost(
            FileLost(
                f"{min(untold)}{others}, which the log named, {'are' if others else 'is'} gone:"
                f" {counted(len(self._opened), 'session')} opened again. Run again; put none back without"
                " `ivs-export repair` after it"
            )
        )
