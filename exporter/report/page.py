"""The page: its head, its order and its style. Pure.

It needs nothing else and can do nothing: no script, no address, and a policy of its own that forbids both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.completeness import completeness
from exporter.report.elements import Html, cut_name, joined, name_text, tag
from exporter.report.overview import overview
from exporter.report.parts import paragraph, section
from exporter.report.session_part import session_part
from exporter.report.troubles import failures, findings, waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.health.status import ScopeStatus
    from exporter.report.facts import LakeFacts, SessionFacts

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_LAKE_LENGTH_MAX = 200
_MEANINGS = {
    "People": "participants of a session. One who joins two sessions counts twice; one who rejoins a session, once; one"
    " who comes with two tokens, twice, also under one user id.",
    "Hours": "time connected, split at midnight UTC. An estimate, not an invoice: where nobody saw a participant leave,"
    " the range goes from its own last event to the end of the session, and that part is called guessed.",
    "Hours watched": "the time of all subscriptions together: who watches three publishers at once counts three times.",
    "Peak at once": "the most people that were connected to one session at one moment, replicas included.",
    "Most watching": "the most people that were subscribed to anybody at one moment, each counted once.",
    "Waits": "from joining to the first publication or subscription, of those who had one. Who waited until somebody"
    " came on stage is among them.",
    "Rejoins": "stays beyond each participant's first.",
    "Failures": "events by which IVS reported an error, while joining, publishing or watching; one may have many.",
    "Replicas": "participants that are replicated from another stage. They count on both stages.",
    "Complete": "all participants of the session were listed after its end, and each one's events were fetched whole."
    " Only numbers of such sessions can be signed.",
    "Sealed": "over, and all of it is in the lake: nothing more can come.",
    "Vanished": "was there, was not sealed, and AWS lists it no longer.",
    "Abandoned": "participants whose events AWS refused for so long that no run asks again.",
    "Day": "a UTC day. A session counts, with its people, on the day on which it began.",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What the page is made of: the lake's address, the range that was asked for, when, and by which version."""

    lake: str
    range_text: str
    now_us: int
    version: str


def page(origin: Origin, statuses: Sequence[ScopeStatus], facts: LakeFacts, sessions: Sequence[SessionFacts]) -> str:
    """Make the whole page."""
    names = _names(facts)
    people = sum(session.counts.participants for session in facts.sessions)
    anchors = {session.line.key: f"session-{number}" for number, session in enumerate(sessions, 1)}
    body = [
        _header(origin),
        tag(
            "main",
            completeness(statuses, facts.incomplete, len(facts.sessions), names, origin.now_us),
            _contents(facts, sessions),
            overview(facts, names, anchors),
            failures(facts.failures, people) if facts.sessions else None,
            waits(facts.waits, names),
            findings(facts.findings) if facts.sessions else None,
            *(
                session_part(
                    session,
                    [each for each in facts.findings if (each.stage_arn, each.session_id) == session.line.key],
                    anchors[session.line.key],
                )
                for session in sessions
            ),
        ),
        _meanings(),
        tag("footer", paragraph(f"Made by ivs-export {origin.version} on {wording.moment(origin.now_us)} UTC.")),
    ]  # fmt: skip
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"IVS Real-Time report, {wording.day(origin.now_us)}"),
        Html(f"<style>{_style()}</style>"),
    ]
    document = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{document.markup}\n"


def _names(facts: LakeFacts) -> dict[str, str | None]:
    """What each stage is called, by its ARN: as its latest session that knows a name says."""
    named = [session for session in facts.sessions if session.stage_name]
    named.sort(key=lambda session: (session.start_us is not None, session.start_us or 0))
    return {session.key[0]: session.stage_name for session in named}


def _header(origin: Origin) -> Html:
    return tag(
        "header",
        tag("h1", "IVS Real-Time sessions"),
        paragraph(
            name_text(cut_name(origin.lake, _LAKE_LENGTH_MAX), length_max=_LAKE_LENGTH_MAX),
            f" · {origin.range_text} · as of {wording.moment(origin.now_us)} UTC",
        ),
    )


def _contents(facts: LakeFacts, sessions: Sequence[SessionFacts]) -> Html | None:
    if not facts.sessions:
        return None
    links = [("all", "All sessions"), ("failures", "Failures")]
    links += [("waits", "Waits")] if any(line.participants for line in facts.waits) else []
    links += [("checks", "Checks"), ("meanings", "What the words mean")]
    listed = [tag("a", text, href=f"#{anchor}") for anchor, text in links]
    listed += [
        tag(
            "a",
            joined((name_text(session.line.stage_name, "session"), f", {_when(session)}")),
            href=f"#session-{number}",
        )
        for number, session in enumerate(sessions, 1)
    ]
    return tag("nav", *listed, aria_label="On this page")


def _when(session: SessionFacts) -> str:
    start_us = session.line.start_us
    return "no start known" if start_us is None else f"{wording.short_day(start_us)} {wording.clock(start_us)}"


def _meanings() -> Html:
    listed = (tag("div", tag("dt", name), tag("dd", meaning)) for name, meaning in _MEANINGS.items())
    return section("What the words mean", tag("dl", *listed, class_="meanings"), anchor="meanings")


@cache
def _style() -> str:
    return files("exporter.report").joinpath("style.css").read_text(encoding="utf-8")
