"""The page's text: what it says first, what its titles say, and what a page may never hold."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exporter.errors import LogDamaged
from exporter.report import wording
from exporter.report.completeness import headline
from exporter.report.elements import Html, name_text, tag
from exporter.report.facts import LakeFacts, SessionFinding
from exporter.report.log_checks import borne_out, checked
from exporter.report.page import POLICY, page
from exporter.report.questions import PUBLISHER_LANES_MAX, VIEWER_LANES_MAX, waits_of
from exporter.report.sums import Grouping, sums_by
from exporter.report.troubles import finding_table
from exporter.timestamps import DAY_US
from tests.support.report_facts import (
    ARN,
    HOSTILE,
    MIDNIGHT_US,
    NOON_US,
    ORIGIN,
    hostile_page,
    lake_facts,
    session_facts,
    session_line,
    status,
    whole_page,
)

NOTHING = LakeFacts([], [], [], [], [], [], [])
_VOID = {"meta", "br", "col"}


class Outline(HTMLParser):
    """The tree of a page, checked as it is read: each element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(name)) is not None]


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([], "Nothing says how complete this lake is"),
        ([status()], "Complete until 23 Nov 2026, 12:00 UTC"),
        ([status(), status(MIDNIGHT_US, region="us-east-1")], "Complete until 23 Nov 2026, 00:00 UTC"),
        ([status(), status(None)], "Not complete yet: no run has gone through all of it"),
        ([status(), replace(status(), error=LogDamaged("x"))], "Not known to be complete: 1 log can't be relied on"),
    ],
)
def test_the_first_title_says_how_complete_the_lake_is(statuses: list[object], said: str) -> None:
    """The earliest of all scopes counts, and one that is not known makes all unknown."""
    assert headline(statuses) == said  # type: ignore[arg-type]
    text = page(ORIGIN, statuses, lake_facts(), [])  # type: ignore[arg-type]
    assert re.findall("<h2>(.*?)</h2>", text)[0] == said.replace("'", "&#x27;") or said in text


def test_what_is_missing_is_named() -> None:
    """What is abandoned and what vanished stands beside the claim; each session that is not complete, with why."""
    text = page(ORIGIN, [status(abandoned=2, vanished=1)], lake_facts(), [])
    assert "but for 2 participants that AWS refuses for good and 1 session that vanished from its list" in text
    assert "1 of 1 session is not complete" in text
    assert "still active, as far as is known" in text
    whole = page(ORIGIN, [status()], replace(lake_facts(), incomplete=[]), [])
    assert "The one session of this report is complete" in whole


def test_the_least_complete_scopes_come_first() -> None:
    """Of 200, those that can't be relied on or were never gone through are at the top, and most are folded."""
    some = [status(NOON_US - place, region=f"xx-y-{place}") for place in range(198)]
    bad = [status(None, region="never"), replace(status(region="damaged"), error=LogDamaged("a record is gone"))]
    text = page(ORIGIN, [*some, *bad], lake_facts(), [])
    assert re.findall("111122223333 ([a-z0-9-]+)", text)[:3] == ["damaged", "never", "xx-y-197"]
    assert "can't be relied on: a record is gone" in text
    assert "<summary>188 more that are more complete</summary>" in text


@pytest.mark.parametrize("statuses", [[], [status()]])
def test_an_empty_lake_reads_well(statuses: list[object]) -> None:
    """With a log and without: it says that nothing is here, and links to nothing."""
    text = page(ORIGIN, statuses, NOTHING, [])  # type: ignore[arg-type]
    assert "No session is here" in text
    assert Outline(text).values("href") == []


@pytest.mark.parametrize("text", [whole_page(), hostile_page(), page(ORIGIN, [], NOTHING, [])])
def test_a_page_is_well_formed_and_needs_nothing_else(text: str) -> None:
    """Elements close, links lead somewhere in the page, nothing is loaded, and each picture has its words."""
    outline = Outline(text)
    names = {name for name, _ in outline.elements}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "base", "foreignobject", "image"}
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in outline.values("href")} <= set(ids)
    assert all(link.startswith("#") for link in outline.values("href"))
    assert outline.values("src") == outline.values("style") == []
    assert outline.values("content")[0] == POLICY == "default-src 'none'; style-src 'unsafe-inline'"
    pictures = [attributes for name, attributes in outline.elements if name == "svg" and attributes.get("role")]
    assert all(attributes["aria-label"] for attributes in pictures)
    assert not re.search(r"url\(|@import|expression", text.partition("</style>")[0])


def test_an_everyday_page_has_all_of_its_parts() -> None:
    """Titles say what is seen, with numbers; a picture has a table or a number beside it."""
    text = re.sub("<[^>]*>", "", whole_page().partition("<body>")[2])
    for part in (
        "1 session of 1 stage, 201.0 to 221.0 participant hours",
        "24.0 of them guessed",
        "The busiest day had 101.0 to 111.0 participant hours",
        "12 failures, most often QUOTA_EXCEEDED while watching",
        "Half waited at most 0.8 s to the first subscription on a stage",
        "An event that reports an error has no code",
        "a stage: 1,000 people on 23 Nov",
        "590 connected at once, at 12:59 UTC",
        "2 publishers and 4 of 998 others",
        "994 others at most 994 connected at once",
        "An estimate, not an invoice",
    ):
        assert part in text


def test_any_page_of_one_session_stays_below_a_megabyte() -> None:
    """All lanes that there can be, each as full as it can be told apart."""
    facts = session_facts("<" * 60, people=PUBLISHER_LANES_MAX + VIEWER_LANES_MAX, stretches=1_000)
    text = page(ORIGIN, [status()], lake_facts(), [facts])
    assert len(text.encode()) < 1_000_000


def test_a_finding_of_the_whole_lake_is_of_no_session() -> None:
    """A day without an event is nobody's: only what names a session counts as one."""
    whole = SessionFinding("day_without_events", "info", None, None, 3)
    shown = str(finding_table([whole, replace(whole, stage_arn=ARN)]))
    assert re.findall(r"<td[^>]*>(\d+)</td>", shown) == ["6", "0"]


def test_many_stages_and_days_are_bounded_and_counted() -> None:
    """60 stages over 90 days: bars for each, the rest counted, and below a megabyte."""
    arns = [ARN, *(f"{ARN}{place}" for place in range(1, 60))]
    lines = [
        replace(session_line(f"stage {place}", f"st-{place}-{day}", arn), start_us=NOON_US + day * DAY_US, end_us=None)
        for day in range(90)
        for place, arn in enumerate(arns)
    ]
    one = lake_facts().hours[0]
    hours = [replace(one, stage_arn=arn, day_us=MIDNIGHT_US + day * DAY_US) for day in range(90) for arn in arns]
    facts = replace(lake_facts(lines=lines), hours=hours)
    text = page(ORIGIN, [status()], facts, [])
    assert len(text.encode()) < 1_000_000
    for part in (
        "The largest of 60 stages took 1.7 % of the hours",
        "90 days as a table",
        "20 of 5,400 sessions",
        "300 of 5,400 rows",
    ):
        assert part in text


def test_sums_by_stage_and_day_are_the_sums_of_all() -> None:
    """A session without a start counts in the whole, under no day."""
    lines = [session_line(), replace(session_line(session_id="st-2"), start_us=None)]
    facts = lake_facts(lines=lines)
    total = sums_by(facts, Grouping())[None, None]
    by_day = sums_by(facts, Grouping(by_day=True))
    assert (total.sessions, total.people, total.peak, total.failures) == (2, 2_000, 700, 12)
    assert {day: sums.sessions for (_, day), sums in by_day.items()} == {
        MIDNIGHT_US: 1,
        MIDNIGHT_US + DAY_US: 0,
        None: 1,
    }
    for key in (Grouping(by_day=True), Grouping(by_stage=True), Grouping(by_stage=True, by_day=True)):
        parts = sums_by(facts, key).values()
        assert sum(part.sessions for part in parts) == total.sessions
        assert sum(part.hours[1] for part in parts) == pytest.approx(total.hours[1])


def test_waits_are_counted_by_their_length_and_ranked() -> None:
    """Nearest rank of those who have a wait; the others are of all. A wait as long as a bound is beyond it."""
    (wait,) = waits_of([("join_to_publish", wait_s) for wait_s in (0.5, 1.0, 3.0, 2_000.0, None)])
    assert wait.counts == [1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert (wait.of_participants, wait.p50_s, wait.p95_s) == (5, 1.0, 2_000.0)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_no_element_is_a_text(text: str) -> None:
    """As a child, as an attribute, as a name: escaped, printable, and cut where it is long."""
    made = tag("p", text, name_text(text), title=text).markup
    outline = Outline(made)
    assert [name for name, _ in outline.elements] == ["p", "bdi"]
    assert set(outline.elements[0][1]) == {"title"}
    assert made.encode()
    assert len(name_text(text).markup) < 500
    assert all(letter.isprintable() for letter in made)


def test_joiners_and_marks_of_living_scripts_are_kept() -> None:
    """Persian, Hindi and emoji need joiners, Vietnamese two marks on a letter."""
    for name in (
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "e\u0302\u0301",
        "\U0001f469\u200d\U0001f4bb",
    ):
        assert name in name_text(name).markup


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (wording.span(0.04), "0.0 s"),
        (wording.span(59.7), "1 min"),
        (wording.span(3_725), "1 h 2 min"),
        (wording.span(100_000), "1 d 3 h"),
        (wording.span(None), "\N{EN DASH}"),
        (wording.hours(1.02, 1.04), "1.0"),
        (wording.hours(999.96, 1_204.4), "1,000 to 1,204"),
        (wording.share(1, 3), "33 %"),
        (wording.share(1, 250), "0.4 %"),
        (wording.share(0, 0), "\N{EN DASH}"),
        (wording.period(NOON_US, NOON_US + 60_000_000), "23 Nov 2026, 12:00 to 12:01"),
        (wording.period(NOON_US, NOON_US + DAY_US), "23 Nov 2026, 12:00 to 24 Nov, 12:00"),
        (wording.period(NOON_US, None), "since 23 Nov 2026, 12:00"),
        (wording.moment(2**62), "31 Dec 9999, 23:59"),
    ],
)
def test_numbers_are_written_for_people(said: str, shown: str) -> None:
    """Spans, ranges, shares and moments."""
    assert said == shown


@pytest.mark.parametrize("place", [0, 1])
def test_colours_can_be_read(place: int) -> None:
    """In light and dark each colour of text has a contrast of 4.5 to the paper, as WCAG 2.2 asks for (1.4.3)."""
    rules = re.findall(r":root \{\s*(--paper.*?)\}", whole_page(), re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rules[place]))
    assert set(colours) >= {"paper", "ink", "quiet", "accent"}
    for name in ("ink", "quiet", "accent"):
        light, dark = sorted(map(_luminance, (colours["paper"], colours[name])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_markup_is_made_in_one_place() -> None:
    """A text that looks like an element, and one that was an element's markup, are texts."""
    assert tag("p", Html("<b>").markup).markup == "<p>&lt;b&gt;</p>"


def test_a_damaged_log_casts_doubt_on_its_own_sessions() -> None:
    """Where it is somebody else's, sessions that are complete still are."""
    whole, error = replace(lake_facts(), incomplete=[]), LogDamaged("a record is gone")
    others = [status(), replace(status(region="us-east-1"), error=error)]
    text = page(ORIGIN, others, borne_out(whole, others), [])
    assert "Not known to be complete: 1 log can't be relied on" in text
    assert "The one session of this report is complete: nothing of it is missing." in text
    own = [replace(status(), error=error)]
    text = page(ORIGIN, own, borne_out(whole, own), [])
    assert "1 of 1 session is not complete" in text
    assert "nothing of it is missing" not in text


def test_files_that_come_and_go_say_nothing() -> None:
    """While a run is at work, or where one has committed since the first look; else their number must be the log's."""
    now = status()
    scope, named = str(now.scope), now.lake.data_files
    at_work = replace(now, runs=[replace(now.runs[0], summary=None, is_running=True)])
    grown = replace(now, lake=replace(now.lake, data_files=named + 2))
    for looks, files in (((now, now), named), ((now, at_work), named + 1), ((now, grown), named + 1)):
        before, after = looks
        assert [each.error for each in checked(([before], [after]), {scope: files}, [])] == [None], (looks, files)
    for count, said in ((1, "does not name 1 file"), (-1, "1 file that it names is not there")):
        [found] = checked(([grown], [grown]), {scope: named + 2 + count}, [])
        assert said in str(found.error)
    assert [str(each.scope) for each in checked(([], []), {}, [(ARN, "st-1")])] == [scope]


def test_a_stage_is_called_as_its_latest_session_with_a_name_says() -> None:
    """A session that no list showed knows none, and one may have been given another."""
    lines = [
        replace(session_line("new", "st-3"), start_us=NOON_US + DAY_US),
        replace(session_line("old", "st-2"), start_us=NOON_US),
        replace(session_line("x", "st-1"), stage_name=None, start_us=NOON_US + 2 * DAY_US),
    ]
    text = page(ORIGIN, [status()], lake_facts(lines=lines), [])
    assert "Half waited at most 0.8 s to the first subscription on <bdi>new</bdi>" in text


def test_a_name_of_spaces_is_no_name() -> None:
    """Nobody would see it."""
    assert name_text(" \u2003 ").markup == name_text(None).markup == "<i>no name</i>"
