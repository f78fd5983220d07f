"""The laws of a catalog beside the lake: each file of the log once, marks and files together, and no false word of it.

What a table should list is folded from the records by hand. Each commit is looked at, each publication, and the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.cli import exit_codes
from exporter.lake.tables import TABLES
from tests.simulation.reading import scope_name, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from exporter.catalog.outcome import Publication
    from tests.simulation.catalog import Catalog, TableState
    from tests.simulation.facts import Facts
    from tests.simulation.plan import Step

_MARK = "ivs-export.published."
_MARK_PARTS = 3
_INCOMPLETE = (exit_codes.PARTIAL, exit_codes.FAILED, exit_codes.HELD)


@dataclass(frozen=True, slots=True)
class Named:
    """What a record does to the files of all tables."""

    files: frozenset[str]
    removed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Before:
    """How things were when a publication began: each scope's ``heads``, and how often tables had been made anew."""

    heads: Mapping[str, int]
    made_anew: Counter[str]


@dataclass(slots=True)
class CatalogLaws:
    """Watches the catalog of a world. ``broken`` is called with a law's name and what broke it."""

    facts: Facts
    broken: Callable[[str, str], None]
    catalog: Catalog = field(init=False)
    _records: dict[str, list[Named]] = field(init=False, default_factory=dict)
    _made_anew: Counter[str] = field(init=False, default_factory=Counter)

    def logged(self, key: str, record: Mapping[str, Any]) -> None:
        """A record is made."""
        removed = [name for kind in ("lost", "replaced", "retired") for name in record.get(kind, ())]
        named = Named(frozenset(file["key"] for file in record.get("files", ())), frozenset(removed))
        self._records.setdefault(scope_name(key), []).append(named)

    def emptied(self, table: str) -> None:
        """A publication lets go of all that a table lists, to make it anew."""
        self._made_anew[table] += 1

    def committing(
        self, table: str, listed: Collection[str], removed: set[str], left: frozenset[str], added: list[str]
    ) -> None:
        """A commit is made: nothing is listed twice, only what was listed leaves, and what comes can be read."""
        facts = self.facts
        twice = [key for key in added if key in left or added.count(key) > 1]
        if twice:
            self.broken("a catalog lists each file once", f"{table} would list {min(twice)} again")
        if unlisted := removed - set(listed):
            self.broken("only what is listed leaves a catalog", f"{table} does not list {min(unlisted)}")
        hidden = [key for key in added if key not in facts.lake.visible and key not in facts.spoilt]
        if hidden:
            self.broken("a catalog lists only what can be read", f"{table} would list {min(hidden)}")

    def committed(self, table: str, state: TableState) -> None:
        """A commit was made: of each scope the files of its log up to the mark are listed, and no others."""
        marks = {
            name.removeprefix(_MARK): int(value.split()[0])
            for name, value in state.properties.items()
            if name.startswith(_MARK)
        }
        of_scopes: dict[str, set[str]] = {scope: set() for scope in marks}
        for key in state.listed:
            of_scopes.setdefault(scope_name(self.facts.named[key]), set()).add(key)
        for scope, listed in of_scopes.items():
            number = marks.get(scope, 0)
            expected = self._files(scope, table, number)
            removed = {key for record in self._records.get(scope, ()) for key in record.removed}
            if listed - expected or expected - listed - removed:  # a file that a later record takes away may be skipped
                self.broken(
                    "a mark says which files are listed",
                    f"{table} has {scope} up to record {number}, and {_difference(listed, expected)}",
                )

    def heads(self) -> dict[str, int]:
        """How many records of each scope are published for good: the last one's files may not be there yet."""
        visible, spoilt = self.facts.lake.visible, self.facts.spoilt
        found = {}
        for scope, records in self._records.items():
            is_ready = all(key in visible and key not in spoilt for key in records[-1].files if _is_listed(key))
            found[scope] = len(records) - (not is_ready)
        return found

    def before(self) -> Before:
        """What a publication that begins now is judged by."""
        return Before(self.heads(), self._made_anew.copy())

    def published(self, step: Step, publication: Publication, before: Before) -> None:
        """A publication has ended: where it is called complete, what was there when it began is in the tables.

        Nothing is said of a table that another publication has made anew meanwhile: it may be about to go on, or dead.
        """
        if publication.outcome != "complete":
            return
        heads = before.heads
        for table in TABLES:
            if self._made_anew[table.name] - before.made_anew[table.name] > step.rebuilds:
                continue
            listed = self._listed(table.name)
            for scope, number in heads.items():
                now = self._files(scope, table.name, len(self._records[scope]))
                then = self._files(scope, table.name, number)
                if missing := (then & now) - listed:
                    self.broken("what is complete has all", f"step {step.number}: {table.name} lacks {min(missing)}")
                left = {key for record in self._records[scope][:number] for key in record.removed} & listed
                if left:
                    self.broken("what is complete has all", f"step {step.number}: {table.name} lists {min(left)} still")

    def counted(self, step: Step, publication: Publication) -> None:
        """It was counted how far the catalog is behind, while nobody changed anything."""
        for table in publication.tables:
            expected = sum(
                len(self._files(scope, table.table, len(records)) ^ self._listed_of(table.table, scope))
                for scope, records in self._records.items()
            )
            if table.behind is not None and table.behind != expected and not self._skips(table.table):
                said = f"step {step.number}: {table.table} is {table.behind} files behind, and it is {expected}"
                self.broken("how far a catalog is behind is said", said)

    def ran(self, step: Step, publication: Publication | None, code: int) -> None:
        """A run has ended: its exit code says whether the catalog is up to date."""
        is_complete = publication is not None and publication.outcome == "complete"
        if code == exit_codes.OK and not is_complete:
            self.broken("never exit 0 when the catalog is short", f"step {step.number}: {publication}")
        failed = publication is not None and publication.failures
        if failed and code not in {
            exit_codes.PARTIAL,
            exit_codes.FAILED,
            exit_codes.HELD,
            *exit_codes.SIGNALS.values(),
        }:
            self.broken("what is not published is told", f"step {step.number} ended with {code}")

    def at_the_end(self, publication: Publication | None) -> None:
        """After quiet runs, the last of which has published: the tables list the log's files, and each can be read."""
        if publication is None or publication.failures or publication.behind:
            self.broken("a quiet run publishes", f"the last one: {publication}")
        for table in TABLES:
            wanted = {
                key for scope, records in self._records.items() for key in self._files(scope, table.name, len(records))
            }
            listed = self._listed(table.name)
            if listed != wanted:
                self.broken("the catalog has what the log has", f"{table.name} {_difference(listed, wanted)}")
            if hidden := listed - self.facts.lake.visible.keys():
                self.broken(
                    "the catalog has what the lake has", f"{table.name} lists {min(hidden)}, which is not there"
                )

    def _files(self, scope: str, table: str, number: int) -> set[str]:
        """The files of a table that a scope's first records have named, and that none of them took away."""
        found: set[str] = set()
        for record in self._records.get(scope, ())[:number]:
            found = (found - record.removed) | {key for key in record.files if table_of(key) == table}
        return found

    def _skips(self, table: str) -> bool:
        """Whether files were skipped that later records take away: these may count for files that are to leave."""
        state = self.catalog.tables.get(table)
        marks = {} if state is None else {name: value for name, value in state.properties.items() if _MARK in name}
        return any(len(mark.split()) > _MARK_PARTS for mark in marks.values())

    def _listed(self, table: str) -> frozenset[str]:
        state = self.catalog.tables.get(table)
        return frozenset() if state is None else state.listed

    def _listed_of(self, table: str, scope: str) -> set[str]:
        return {key for key in self._listed(table) if scope_name(self.facts.named[key]) == scope}


def _is_listed(key: str) -> bool:
    return any(table_of(key) == table.name for table in TABLES)


def _difference(listed: Collection[str], expected: Collection[str]) -> str:
    missing, more = set(expected) - set(listed), set(listed) - set(expected)
    return f"lacks {sorted(missing)[:1]} of {len(missing)}, and has {sorted(more)[:1]} of {len(more)} too many"
