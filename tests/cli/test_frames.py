"""Frames of the live display: what they show of a run, at any size of terminal."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from exporter.cli.frame import frame_of
from exporter.cli.frame_text import ASCII, TextRole, amount, duration, elapsed
from exporter.cli.run_sample import Cause, RunSample, ScopePhase, ScopeSample, Tally, UnitTally
from tests.support.display_pictures import PICTURES, SHOWN
from tests.support.run_samples import FETCHING, RUN_ID, many_scopes, sample_of

SIZES = [(80, 24), (200, 50)]
#: The scopes of `many_scopes` in which something failed.
FAILING = {scope.name for scope in many_scopes().scopes if scope.is_failing}


def shown(sample: RunSample, width: int, height: int) -> list[str]:
    return ["".join(piece.text for piece in line) for line in frame_of(sample, width, height)]


def scopes_in(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.startswith("0000")]


def test_one_scope_on_a_terminal_of_80_columns() -> None:
    """A bar of what is committed, what is fetched, what is open; the percentage; each figure under its head."""
    assert shown(sample_of(FETCHING), 80, 24) == [
        f"0:02:10  about 4 min left  run {RUN_ID}",
        "events 45,000      sessions 18/41         failed 0      throttled 3",
        "calls/s 5.0     events 5.0     participants 0.0     sessions 0.0     stages 0.0",
        "                                               done to commit  found        left",
        "111122223333-eu-west-1 ━━━━━━━╍────────  46%  1,104       123  2,400       4 min",
    ]


def test_a_wide_terminal_has_more_columns_and_a_longer_bar() -> None:
    """Two hundred columns are used to the last one."""
    heads, scope = shown(sample_of(FETCHING), 200, 50)[-2:]
    assert heads.split() == [
        *("done", "to", "commit", "found", "sessions", "events", "calls/s", "throttled", "failed", "left")
    ]
    assert scope.split() == [
        *("111122223333-eu-west-1", "━" * 35 + "╍" * 4 + "─" * 39, "46%"),
        *("1,104", "123", "2,400", "18/41", "45,000", "5.0", "3", "0", "4", "min"),
    ]
    assert len(heads) == len(scope) == 200


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_many_scopes_fit_and_those_that_need_a_look_are_there(width: int, height: int) -> None:
    """Past the height: every failing scope, then those with the most units open; what is left out is counted."""
    sample = many_scopes()
    lines = shown(sample, width, height)
    assert len(lines) == height - 1
    assert {len(line) for line in lines[3:-3]} == {width}
    listed = scopes_in(lines)
    assert set(listed) > FAILING
    by_name = {scope.name: scope for scope in sample.scopes}
    units_open = {name: scope.units.found - scope.units.done for name, scope in by_name.items()}
    slowest = set(listed) - FAILING
    assert min(units_open[name] for name in slowest) >= max(
        units_open[name] for name in set(by_name) - set(listed) if not by_name[name].phase.has_ended
    )
    assert listed == [scope.name for scope in sample.scopes if scope.name in listed]
    assert lines[-4].startswith("all 203 scopes")
    assert lines[-3].startswith(f"and {203 - len(listed)} more: ")
    assert lines[-2].startswith("     1 failed  credentials: arn:aws:iam::000000000020:role/ivs-export can't be")


def test_all_scopes_stand_where_there_is_room() -> None:
    """None is left out, and nothing is said of a rest."""
    lines = shown(many_scopes(), 80, 211)
    assert len(scopes_in(lines)) == 203
    assert not any(line.startswith("and ") for line in lines)


def test_red_is_for_failure_alone() -> None:
    """A failing scope's name and count, and what failed it; nothing in a run in which all went well."""
    roles = {
        piece.text.strip()
        for line in frame_of(many_scopes(), 200, 50)
        for piece in line
        if piece.role is TextRole.FAILURE
    }
    assert roles == {*FAILING, "12", "1", "49", "failed", "1 failed", "48 failed"}
    well = frame_of(sample_of(FETCHING, replace(FETCHING, phase=ScopePhase.DONE)), 200, 50)
    assert all(piece.role is not TextRole.FAILURE for line in well for piece in line)


def test_nothing_is_promised_while_units_are_found() -> None:
    """No time; the lists that were read stand in the bar's place, and the percentage is what they stand for."""
    counts = Tally(lists_needed=44, lists_read=12)
    finding = replace(FETCHING, phase=ScopePhase.FINDING, counts=counts, percent=12, left_s=None)
    lines = shown(sample_of(finding), 80, 24)
    assert lines[0] == f"0:02:10  finding  run {RUN_ID}"
    assert lines[-1] == "111122223333-eu-west-1 12 of 44 lists ─  12%  1,104       123  2,400     finding"


def test_a_run_that_is_asked_to_stop_says_what_it_does() -> None:
    """The signal, and that nothing is lost by it."""
    title = shown(sample_of(FETCHING, stopped_by="SIGINT"), 80, 24)[0]
    assert title.startswith("0:02:10  stopping (SIGINT): what was fetched is being committed  run")


def test_a_run_without_scopes_has_a_frame() -> None:
    """Before the lake was looked at, there are none."""
    total = ScopeSample("all 0 scopes", ScopePhase.STARTING)
    assert shown(RunSample(RUN_ID, 0.0, total), 80, 24)[0] == f"0:00:00  starting  run {RUN_ID}"


def test_what_others_wrote_stays_one_harmless_line() -> None:
    """Names and causes hold nothing that a terminal obeys."""
    hostile = "\x1b[2J\x07\r\n\u202e\u2028\x9b31m<b>" * 9
    scope = replace(FETCHING, name=hostile, counts=Tally(failed=1))
    for line in shown(sample_of(scope, scope, causes=[Cause(1, hostile)], stopped_by=hostile), 80, 24):
        assert line.isprintable()
        assert len(line) <= 80


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """The bar's three parts differ there, too."""
    sample = sample_of(FETCHING, causes=[Cause(1, "x" * 200)])
    text = "".join(piece.text for line in frame_of(sample, 80, 24, ASCII) for piece in line)
    assert text.isascii()
    assert " =======-........ " in text


counts = st.integers(0, 10**9)
units = st.tuples(counts, counts, counts).map(lambda c: UnitTally(c[0] + c[1] + c[2], c[1], c[2]))
scope_samples = st.builds(
    ScopeSample,
    st.text(max_size=40),
    st.sampled_from(ScopePhase),
    units,
    st.builds(Tally, counts, counts, counts, counts, counts, counts, st.sampled_from([0, 0, 0, 1, 10**6])),
    st.none() | st.integers(0, 100),
    st.floats(0, 1e5),
    st.none() | st.floats(0, 1e7),
)


@example([FETCHING], 80, 24, ["漢字" * 50])
@given(st.lists(scope_samples, max_size=40), st.integers(1, 250), st.integers(1, 60), st.lists(st.text(), max_size=5))
def test_a_frame_fits_any_terminal(scopes: list[ScopeSample], width: int, height: int, texts: list[str]) -> None:
    """Fewer lines than the terminal has, none wider, whatever it is given, letters that take two cells included."""
    sample = sample_of(*scopes, causes=[Cause(1, text) for text in texts])
    lines = shown(sample, width, height)
    assert 1 <= len(lines) <= max(height - 1, 1)
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


def test_figures_are_short_and_never_more_than_is_true() -> None:
    """Large amounts are cut to thousands and millions; a time that is left is rounded up."""
    assert [amount(count, 6) for count in (0, 99_999, 100_000, 9_999_999, 10_000_000)] == [
        *("0", "99,999", "100k", "9,999k", "10M")
    ]
    assert [duration(seconds) for seconds in (0, 59, 60, 61, 3_600, 35_940, 36_001)] == [
        *("< 1 min", "< 1 min", "1 min", "2 min", "1 h 00 min", "9 h 59 min", "11 h")
    ]
    assert elapsed(36_125.9) == "10:02:05"
    assert [UnitTally(1_000, done).percent for done in (0, 9, 999, 1_000)] == [0, 0, 99, 100]
    assert UnitTally().percent is None


@pytest.mark.parametrize("name", SHOWN)
def test_the_pictures_in_the_documents_show_what_is_drawn(name: str) -> None:
    """Line for line; they are small, and name no host but that of SVG's own name. `scripts/pictures` draws them."""
    svg = (PICTURES / f"{name}.svg").read_text()
    _, sample, width, height = SHOWN[name]
    texts = re.findall(r'<text class="run-r\d+" x="[\d.]+" y="([\d.]+)"[^>]*>([^<]*)</text>', svg)
    lines = ["".join(html.unescape(text) for _, text in line) for _, line in groupby(texts, lambda text: text[0])]
    drawn = shown(sample, width, height)
    assert ["".join(line.split()) for line in lines] == ["".join(line.split()) for line in drawn]
    assert re.findall(r"https?://[^\"' ]*", svg) == ["http://www.w3.org/2000/svg"]
    assert len(svg.encode()) < 60_000
