"""What ``verify --domain`` adds: the checks of the domain, made by a query, and how they are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.cli.actions.stoppable import stoppable
from exporter.cli.own_session import own_session
from exporter.errors import LakeError, QueryFailed, TemporaryFolderRefused
from exporter.query.database import open_database
from exporter.query.domain_checks import findings
from exporter.query.memory import bounded_memory
from exporter.text import counted

if TYPE_CHECKING:
    from exporter.cli.invocation import Invocation
    from exporter.query.domain_checks import Finding
    from exporter.query.stop_switch import StopSwitch
    from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class Domain:
    """What the checks found; ``error`` is why they could not be made."""

    found: tuple[Finding, ...] = ()
    error: str | None = None

    @property
    def is_failed(self) -> bool:
        """Whether there is an error among the findings, or they are not known."""
        return self.error is not None or any(finding.is_error for finding in self.found)

    def summary(self) -> dict[str, Any]:
        """What the object of ``--json`` has more."""
        return {"findings": [finding.summary() for finding in self.found], "domain_error": self.error}

    def lines(self) -> list[str]:
        """A line for each finding, and one for all."""
        if self.error is not None:
            return [f"the checks of the domain can't be made: {self.error}"]
        errors = sum(finding.is_error for finding in self.found)
        end = f"checks of the domain: {counted(len(self.found), 'finding')}, of them {counted(errors, 'error')}"
        return [*map(_line, self.found), end]


def check_domain(invocation: Invocation, settings: Settings) -> Domain:
    """Make the checks; a lake that can't be read is what `verify` itself reports, so it ends nothing here."""

    def ask(stop: StopSwitch) -> Domain:
        with (
            open_database(settings, own_session, is_stored=True, stop=stop) as database,
            bounded_memory(settings.query.memory_gib),
        ):
            return Domain(tuple(findings(database)))

    try:
        return stoppable(invocation, ask)
    except (LakeError, QueryFailed, TemporaryFolderRefused) as error:
        return Domain(error=str(error))


def _line(finding: Finding) -> str:
    where = ""
    if finding.examples:
        most = ", ".join(f"{session_id} ({count:,})" for _, session_id, count in finding.examples)
        where = f", in {counted(finding.sessions, 'session')}: {most}"
    return f"{finding.severity}: {finding.name}: {finding.message}; {counted(finding.count, 'time')}{where}"
