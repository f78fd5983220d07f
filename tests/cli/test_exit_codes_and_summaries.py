from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.cli import exit_codes, summary
from exporter.cli.app import app, main
from exporter.cli.signals import STOPPING
from exporter.errors import CredentialsLost, LakeRefused, Refused, UsageError
from exporter.ledger import ScopeLedger
from exporter.pipeline.run_ledger import RunLedger
from exporter.settings import S3Settings
from tests.support.ledgers import Outcome, a_held_scope, a_lost_scope, a_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.discovery.request import Request
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

    Fill = Callable[[RunLedger], None]

README = (Path(__file__).parents[2] / "README.md").read_text()
RUN = ["run", "--region", "eu-west-1"]
ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/AbCd"


def complete(ledger: RunLedger) -> None:
    ledger.scopes = [a_scope({Outcome.EXPORTED: 1, Outcome.EMPTY: 1}, written=7)]


def nothing(ledger: RunLedger) -> None:
    ledger.scopes = [a_scope()]


def partial(ledger: RunLedger) -> None:
    complete(ledger)
    ledger.scopes[0].fail(f"{ARN}/st-1", Refused("ListParticipants: denied", "AccessDeniedException"))


def held_in_part(ledger: RunLedger) -> None:
    complete(ledger)
    ledger.scopes.append(a_held_scope())


def held(ledger: RunLedger) -> None:
    ledger.scopes = [a_held_scope(), a_held_scope()]


def lost(ledger: RunLedger) -> None:
    ledger.scopes = [a_lost_scope()]


def raising(error: Exception) -> Fill:
    def fill(ledger: RunLedger) -> None:
        partial(ledger)
        raise error

    return fill


def start(fill: Fill, arguments: list[str]) -> int:
    async def export(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:  # noqa: ARG001
        fill(ledger)

    return main(arguments, export)


CASES = [
    (complete, 0, "complete"),
    (nothing, 0, "nothing"),
    (partial, 3, "partial"),
    (held_in_part, 3, "partial"),
    (held, 4, "partial"),
    (lost, 1, "failed"),
    (raising(CredentialsLost("no AWS credentials were found")), 1, "failed"),
    (raising(LakeRefused("no such bucket")), 1, "failed"),
    (raising(UsageError("no such thing")), 2, "failed"),
    (raising(RuntimeError("a defect")), 1, "failed"),
    (raising(ExceptionGroup("many", [OSError("x")])), 1, "failed"),
]


@pytest.mark.parametrize(("fill", "code", "outcome"), CASES)
def test_every_end_has_its_code_and_one_object(
    fill: Fill, code: int, outcome: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever becomes of a run, --json prints one object and no other line, and nothing prints a traceback."""
    assert start(fill, [*RUN, "--json"]) == code
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out)["outcome"] == outcome
    assert "Traceback" not in err
    assert all(isinstance(json.loads(line), dict) for line in err.splitlines())


@pytest.mark.parametrize(("fill", "code", "outcome"), CASES)
def test_people_get_a_summary(fill: Fill, code: int, outcome: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Without --json a run that began prints a summary for people."""
    assert start(fill, RUN) == code
    out, _ = capfd.readouterr()
    if code in (exit_codes.OK, exit_codes.PARTIAL, exit_codes.HELD):
        assert f": {outcome}, in " in out
        assert " found" in out
    if fill in (partial, held, lost):
        assert "failures   " in out


WRONG = [
    [],
    ["bogus"],
    ["run", "--bogus"],
    ["run", "--region"],
    ["run", "extra"],
    ["run", "--region", "mars-1"],
    ["run", "--calls-per-second", "0"],
    ["run", "--log-level", "loud", "--region", "eu-west-1"],
    ["run", "--stage", "x"],
    ["run", "--config", "missing.toml"],
    ["run"],
    [*RUN, "--since", "yesterday"],
    [*RUN, "--tag", ""],
    [*RUN, "--tag", "two\nlines"],
    [*RUN, "--tag", "x" * 201],
    [*RUN, "--since", "2026-02-30"],
    [*RUN, "--since", "2026-11-24", "--until", "2026-11-24"],
    [*RUN, "--since", "2026-11-24T01:00+02:00", "--until", "2026-11-23T23:00Z"],
    [*RUN, "--targets", "missing.csv"],
    [*RUN, "--stage", ARN.replace("eu-west-1", "us-east-1")],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_starts_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong option, setting or list ends with 2 and one line, and an object where one is wanted; no run starts."""
    monkeypatch.chdir(tmp_path)

    def fill(_: RunLedger) -> None:
        raise AssertionError("a run was started")

    assert start(fill, arguments) == exit_codes.USAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert start(fill, [*arguments, "--json"]) == exit_codes.USAGE
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    [failure] = json.loads(out)["failures"]
    assert failure["error"] == "usage"
    assert json.loads(err)["message"] == failure["message"]


def test_object_of_a_command_without_a_run_has_the_same_shape(capfd: pytest.CaptureFixture[str]) -> None:
    """The object has every name of a run's, in the same order, also where no run began."""
    assert start(complete, [*RUN, "--json"]) == exit_codes.OK
    of_run = json.loads(capfd.readouterr().out)
    assert start(complete, ["run", "--bogus", "--json"]) == exit_codes.USAGE
    assert list(json.loads(capfd.readouterr().out)) == list(of_run)


def test_run_options_reach_the_run(tmp_path: Path) -> None:
    """Dates are UTC midnights, times keep their zone, and the list is read; the run gets all of it."""
    seen: list[tuple[Settings, Request]] = []
    (tmp_path / "list.csv").write_text(f"stage_arn\n{ARN}\n")

    async def export(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:  # noqa: ARG001
        seen.append((settings, request))

    times = ["--since", "2026-11-23", "--until", "2026-11-24T02:00:00+02:00"]
    more = ["--refetch", "--wait", "--tag", "night 7", "--no-active-sessions", "--s3-sse", "aws:kms", "--lake", "here"]
    assert main(["run", "--targets", str(tmp_path / "list.csv"), *times, *more], export) == exit_codes.OK
    [(settings, request)] = seen
    day_us = 86_400_000_000
    assert request.period.since_us is not None
    assert request.period.until_us == request.period.since_us + day_us
    assert request.period.since_us % day_us == 0
    assert (request.refetch, request.scopes.wait, request.tag) == (True, True, "night 7")
    assert request.targets is not None
    assert request.targets.count == 1
    assert (settings.lake, settings.regions, settings.run.active_sessions) == ("here", ("eu-west-1",), False)
    assert settings.s3 == S3Settings(sse="aws:kms")


def test_deadline_asks_the_run_to_stop() -> None:
    """When its time is over a run is asked to stop; what it had to leave makes it partial."""

    async def export(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:  # noqa: ARG001
        partial(ledger)
        async with asyncio.timeout(30):
            await stop.asked.wait()
        assert stop.reason == "deadline"

    assert main([*RUN, "--deadline-s", "0.001"], export) == exit_codes.PARTIAL


def test_failure_of_the_whole_counts_for_more_than_a_signal() -> None:
    """A signal's code says that what was fetched is committed, so a run that could not commit has its own."""
    ledger = RunLedger("x")
    partial(ledger)
    assert exit_codes.of_run(ledger, "SIGINT") == 130
    assert exit_codes.of_run(ledger, "SIGTERM") == 143
    assert exit_codes.of_run(ledger, "deadline") == exit_codes.PARTIAL
    ledger.error = LakeRefused("no space")
    assert exit_codes.of_run(ledger, "SIGINT") == exit_codes.FAILED


def test_every_command_s_help_ends_with_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """The codes in a help text are those of the one table, wrapped or not; no command is without."""
    assert set(exit_codes.MEANINGS) == set(app.commands)
    for name, meanings in exit_codes.MEANINGS.items():
        assert main([name, "--help"]) == exit_codes.OK
        end = capsys.readouterr().out.partition("\nExit codes:\n")[2]
        shown = " ".join(f"{', '.join(map(str, codes))} {text}" for codes, text in meanings)
        assert end.split() == shown.split()


def test_a_run_s_codes_are_those_of_the_readme() -> None:
    """The README's table says of a run what its help says."""
    table = README.partition("## Exit codes\n")[2].partition("\n#")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[3:] if line]
    assert rows == [[", ".join(map(str, codes)), text] for codes, text in exit_codes.MEANINGS["run"]]
    assert all(code == 128 + signal.Signals[name] for name, code in exit_codes.SIGNALS.items())


def test_help_is_plain_text_for_any_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every help text fits 80 columns, however wide the terminal is, has no colours, and groups a run's options."""
    texts: dict[str, str] = {}
    for columns in ("30", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        for name in ("", *app.commands):
            assert main([*name.split(), "--help"]) == exit_codes.OK
            text = capsys.readouterr().out
            assert texts.setdefault(name, text) == text
            assert max(map(len, text.splitlines())) <= 80
            assert text.isascii()
            assert text.replace("\n", "").isprintable()
    groups = [line for line in texts["run"].splitlines() if re.fullmatch("[A-Z].*:", line)]
    assert groups == [
        "Examples:",
        "Options:",
        "What to export, and where to:",
        "Tables and privacy:",
        "Quota:",
        "The run:",
        "Calls:",
        "S3, passed on with each object:",
        "The catalog:",
        "Watching:",
        "Exit codes:",
    ]


def test_memory_that_is_used_up_is_no_bug(capfd: pytest.CaptureFixture[str]) -> None:
    """A limit of the system's ends any program."""
    assert start(raising(MemoryError()), RUN) == exit_codes.FAILED
    assert "the system has no more memory to give" in capfd.readouterr().err


def test_bug_shows_its_traceback_at_debug_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """A bug's traceback is in the log, in its JSON form, where debug is asked for."""
    bug = raising(ZeroDivisionError("a defect"))
    assert start(bug, [*RUN, "--log-level", "debug"]) == exit_codes.FAILED
    _, err = capfd.readouterr()
    [line] = [line for line in map(json.loads, err.splitlines()) if line["level"] == "debug"]
    assert "test_exit_codes_and_summaries.py" in line["exception"]
    assert start(bug, RUN) == exit_codes.FAILED
    _, err = capfd.readouterr()
    assert "test_exit_codes_and_summaries.py" not in err


def test_summary_for_people_is_short_and_plain() -> None:
    """Ten failures and ten unknown fields are shown, the rest counted; no text of others reaches the terminal raw."""
    ledger = RunLedger("x")
    partial(ledger)
    scope = ledger.scopes[0]
    for number in range(30):
        scope.fail(f"unit-{number}", Refused(f"\x1b[2Jdenied {number}\nline", "Code"))
        scope.unknown_fields[f"field{number}\x07"] += number
    text = summary.text_of(ledger.summary(125.0))
    assert "in 2 min 5 s" in text
    assert "failures   31" in text
    assert "and 21 more causes" in text
    assert "field29" in text
    assert "and 20 more" in text
    assert len(text.splitlines()) < 25
    assert text.replace("\n", "").isprintable()


FIELDS = {
    "run_id": str,
    "outcome": str,
    "units": dict,
    "sessions": dict,
    "events": dict,
    "files": int,
    "bytes": int,
    "calls": dict,
    "throttled": int,
    "retries": int,
    "unknown_fields": dict,
    "failures": list,
    "seconds": float,
    "rows": dict,
    "scopes": list,
    "version": str,
    "lake": str | None,
    "tag": str | None,
    "began_at": str,
    "ended_at": str,
    "stopped_by": str | None,
    "exit_code": int,
    "more_to_do": bool,
    "catalog": dict | None,
}
FAILURE_FIELDS = {"error": str, "message": str, "count": int, "units": list, "unit": str | None}


@pytest.mark.parametrize(
    ("fill", "arguments"),
    [*((fill, [*RUN, "--lake", "here"]) for fill, *_ in CASES), *((complete, arguments) for arguments in WRONG)],
)
def test_every_field_is_there_on_every_exit(
    fill: Fill, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever becomes of a command, its object has every field, of its type, and the code that it ends with."""
    monkeypatch.chdir(tmp_path)
    code = start(fill, [*arguments, "--json"])
    printed = json.loads(capfd.readouterr().out)
    assert {name: type(printed[name]) for name in FIELDS if not isinstance(printed[name], FIELDS[name])} == {}
    for failure in printed["failures"]:
        assert {name for name, kind in FAILURE_FIELDS.items() if not isinstance(failure[name], kind)} == set()
    for scope in printed["scopes"]:
        assert {*list(FIELDS)[:14], "complete_until", "more_to_do", "account_id", "region"} <= set(scope)
    assert printed["exit_code"] == code
    assert printed["more_to_do"] is (code not in {exit_codes.OK, exit_codes.USAGE} and fill is not partial)
    assert printed["began_at"] <= printed["ended_at"]
    assert printed["stopped_by"] is None


def test_causes_stand_first_and_the_run_s_own_before_them(capfd: pytest.CaptureFixture[str]) -> None:
    """What ended the run comes first, then each cause with its count over all scopes, and last what was deferred."""

    def fill(ledger: RunLedger) -> None:
        ledger.scopes = [a_scope(), a_scope(account_id="210987654321")]
        for scope in ledger.scopes:
            scope.listing_needed()
            scope.close()
            for number in range(20):
                scope.fail(f"{ARN}/st-{number}", Refused("denied", "AccessDeniedException"))
        raise CredentialsLost("they have expired")

    assert start(fill, [*RUN, "--json"]) == exit_codes.FAILED
    out, err = capfd.readouterr()
    failures = json.loads(out)["failures"]
    shown = [(failure["error"], failure["count"], len(failure["units"])) for failure in failures]
    assert shown == [("credentials", 1, 0), ("refused", 40, 10), ("deferred", 2, 2)]
    lines = [json.loads(line) for line in err.splitlines()]
    warned = [(line["error"], line["count"]) for line in lines if line["level"] == "warning"]
    assert warned == [("refused", 40), ("deferred", 2)]
    assert [line["message"] for line in lines if line["level"] == "error"] == ["they have expired"]
    in_order = [line["error"] for line in lines if "error" in line]
    assert in_order == ["refused", "credentials", "deferred"]  # what was deferred does not stand before its cause


def test_a_run_all_of_whose_scopes_failed_says_so_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Without an error of the run's own, one line at the level error says that it failed, and by what."""
    assert start(lost, RUN) == exit_codes.FAILED
    [line] = [line for line in map(json.loads, capfd.readouterr().err.splitlines()) if line["level"] == "error"]
    assert "every scope failed" in line["message"]


def test_a_summary_that_cannot_be_made_is_an_object_all_the_same(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last boundary does not raise: where the ledger itself is broken there are code, line and object, too."""

    def broken(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(ScopeLedger, "summary", broken)
    assert start(raising(LakeRefused("no such bucket")), [*RUN, "--json", "--lake", "here"]) == exit_codes.FAILED
    out, err = capfd.readouterr()
    printed = json.loads(out)
    assert (printed["lake"], printed["scopes"]) == ("here", [])
    assert (printed["outcome"], printed["exit_code"], printed["failures"][0]["error"]) == ("failed", 1, "bug")
    assert "no such bucket" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("moment_us", [10**18, -(10**18), 1 << 62])
def test_no_moment_breaks_the_summary(moment_us: int, capfd: pytest.CaptureFixture[str]) -> None:
    """A time beyond all calendars is shown as the last or first moment that there is."""

    def fill(ledger: RunLedger) -> None:
        complete(ledger)
        ledger.scopes[0].complete_until_us = moment_us

    assert start(fill, [*RUN, "--json"]) == exit_codes.OK
    [scope] = json.loads(capfd.readouterr().out)["scopes"]
    assert scope["complete_until"][:4] in {"9999", "0001"}


class Bound(io.TextIOWrapper):
    """A standard output with an encoding of its own."""

    def __init__(self, encoding: str) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_texts_that_an_output_cannot_encode_are_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever characters a name has, half a surrogate pair too, a committed run ends as one."""

    def fill(ledger: RunLedger) -> None:
        complete(ledger)
        ledger.scopes[0].fail("\N{SNOWMAN}\ud800/st-1", Refused("d\u00e9ni\udfff", "Code"))

    out = Bound(encoding)
    monkeypatch.setattr("sys.stdout", out)
    assert start(fill, RUN) == exit_codes.PARTIAL
    text = out.written.getvalue().decode(encoding)
    assert "failures   1" in text


def test_the_program_runs_in_any_thread(capfd: pytest.CaptureFixture[str]) -> None:
    """Where a scheduler calls it in a thread of its own, it takes no signals over and ends as it does elsewhere."""
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    codes: list[int] = []
    for arguments in ([*RUN, "--json"], ["run", "--bogus", "--json"]):
        thread = threading.Thread(target=lambda arguments=arguments: codes.append(start(complete, arguments)))
        thread.start()
        thread.join(60)
    assert codes == [exit_codes.OK, exit_codes.USAGE]
    assert {number: signal.getsignal(number) for number in STOPPING} == handlers
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert (first["exit_code"], second["exit_code"]) == (0, 2)


def test_days_are_said_as_days() -> None:
    """What waits for weeks is not counted in hours."""
    said = [summary.duration_of(hours * 3_600.0) for hours in (2.0, 47.9, 152.5)]
    assert said == ["2 h 0 min", "47 h 54 min", "6 days 8 h"]
