from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.cli.progress import Progress
from exporter.cli.run_sample import ScopePhase, UnitTally
from exporter.errors import LakeRefused, Refused
from exporter.pipeline.run_ledger import RunLedger
from exporter.telemetry import logs
from exporter.telemetry.logger import Logger
from exporter.text import one_line
from tests.support.ledgers import Outcome, a_held_scope, a_lost_scope, a_scope

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "wJalrXUtnFEMI/K7MDENG"


def lines_of(write: Callable[[], None], level: str = "info") -> list[dict[str, Any]]:
    stream = io.StringIO()
    logs.configure(level, stream)
    write()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_own_logs_are_json_lines() -> None:
    """A line is an object with the event, its level, its logger and a time."""
    [line] = lines_of(lambda: Logger("exporter.x").info("page", size_bytes=5, name="\x1b[2J\udc80"))
    assert (line["event"], line["level"], line["logger"], line["size_bytes"]) == ("page", "info", "exporter.x", 5)
    assert line["timestamp"].endswith("Z")


def test_a_lines_fields_come_in_one_order() -> None:
    """Our own come before the event's name, those of other libraries after it; an exception is the last."""

    def write() -> None:
        Logger("exporter.x").warning("failed", exc_info=ValueError("odd"), size_bytes=5, scope="a")
        logging.getLogger("botocore").warning("failed", exc_info=ValueError("odd"), extra={"size_bytes": 5})

    own, foreign = lines_of(write)
    assert list(own) == ["size_bytes", "scope", "event", "level", "logger", "timestamp", "exception"]
    assert list(foreign) == ["event", "size_bytes", "level", "logger", "timestamp", "exception"]
    assert own["exception"] == foreign["exception"] == "ValueError: odd"


@pytest.mark.parametrize("level", ["info", "debug"])
def test_lines_for_people_hold_nothing_that_a_terminal_obeys(level: str) -> None:
    """Whatever a value holds, it stays one line without control characters; a traceback stays several."""
    shown: list[str] = []
    logs.configure(level, io.StringIO(), shown.append)
    log = Logger("exporter.x")
    log.info("waits", host="\x1b[2Jevil\ninfo all went well")
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("\x07")
    log.error("failed", exc_info=caught.value, name="\x1b]0;title\x07")
    assert len(shown) == 2
    assert not any("\x1b" in line or "\x07" in line for line in shown)
    assert "\n" not in shown[0]
    assert ("\n" in shown[1]) == (level == "debug")


def test_other_libraries_warn_in_the_same_form() -> None:
    """botocore, asyncio and Python's warnings come as JSON lines, from warnings upwards, whatever the level."""

    def write() -> None:
        for name in ("botocore.auth", "aiohttp", "asyncio"):
            logging.getLogger(name).info("too much")
            logging.getLogger(name).warning("worth %s", "it")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("deprecated", UserWarning, stacklevel=1)

    lines = lines_of(write, "debug")
    assert [line["event"] for line in lines[:3]] == ["worth it"] * 3
    assert "deprecated" in lines[3]["event"]
    assert len(lines) == 4


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_logged(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's secrets are masked wherever they stand, also in a traceback, and named ones by their name."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-session")
    monkeypatch.setenv("IVS_EXPORT_PRIVACY__KEY", "key-of-the-user-ids")

    def write() -> None:
        log = Logger("exporter.x")
        log.error(
            "signed",
            by=SECRET,
            hashed_with="key-of-the-user-ids",
            next_token="abc",
            Authorization="AWS4",
            nested={"deep": [SECRET]},
        )
        error = RuntimeError(f"token-of-the-session and {SECRET}")
        log.error("failed", exc_info=error)
        logging.getLogger("botocore").error("failed %s", SECRET, exc_info=error)

    text = json.dumps(lines_of(write, level))
    assert SECRET not in text
    assert "token-of-the-session" not in text
    assert "key-of-the-user-ids" not in text
    assert "abc" not in text
    assert "AWS4" not in text
    assert "RuntimeError: *** and ***" in text


def test_a_word_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret as short as those of an emulator leaves the log readable."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    [line] = lines_of(lambda: Logger("exporter.x").info("latest", lake="s3://test/contest"))
    assert (line["event"], line["lake"]) == ("latest", "s3://test/contest")


@pytest.mark.parametrize("level", ["info", "debug"])
def test_a_secret_is_masked_as_json_writes_it(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container's agent gives may hold quotes, which stand in a line with a backslash before them."""
    secret = 'a "quoted" \\ secret'
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", secret)
    text = json.dumps(lines_of(lambda: Logger("exporter.x").error("sent", what=f"x\n{secret}"), level))
    assert "quoted" not in text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("open http://user:pa55@host:80/x", "open http://***@host:80/x"),
        ("no user:pa55@host:80", "no ***@host:80"),
        ('{"SecretAccessKey": "abcdefghijklmnop"', '{"SecretAccessKey": "***"'),
        ("<SessionToken>abcdefghijklmnop", "<SessionToken>***"),
        ("aws_secret_access_key = abcdefghijklmnop", "aws_secret_access_key = ***"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("gave wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY to", "gave *** to"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln-_x", "token ***"),
        ("Error loading SSO Token: Token for default does not exist", None),
        ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef0123456789/me@x.org", None),
        ("/home/Alice1/projects/of/mine/that/have/long/names/credentials: No such file or directory", None),
        ("cache/0123456789abcdef0123456789abcdef01234567.json", None),
        ("a\x1b[2J\nline", "a?[2J line"),
    ],
)
def test_words_of_others_hold_no_secret(said: str, shown: str | None) -> None:
    """What looks like a secret in foreign words is masked; names, paths and ARNs are not."""
    assert one_line(said) == (said if shown is None else shown)


def a_ledger() -> RunLedger:
    scope = a_scope({Outcome.EXPORTED: 200}, found=1200, written=45_000)
    scope.throttled = 3
    scope.fail("unit", Refused("denied", "Code"))
    return RunLedger("a-run", [scope])


def test_progress_tells_pace_and_time_left() -> None:
    """Pace is that of the last seconds; left are the pages of the units found, at the mean of those fetched."""
    ledger, now_s = a_ledger(), [0.0]
    scope = ledger.scopes[0]
    scope.calls["ListParticipantEvents"] = 400
    progress = Progress(ledger, lambda: now_s[0])
    progress.sample()
    assert progress.left_s() is None
    assert progress.shown().total.left_s is None
    for second in range(1, 41):
        now_s[0] = float(second)
        scope.calls["ListParticipantEvents"] += 10
        progress.sample()
    assert progress.pace(0) == {"ListParticipantEvents": 10.0}
    assert progress.left_s() == (1200 * 2 - 800) / 10.0
    shown = progress.shown()
    assert (shown.elapsed_s, shown.total.left_s, shown.paces) == (40.0, 160.0, (("events", 10.0),))
    assert [cause.count for cause in shown.causes] == [1]
    assert progress.line() == {
        "units_found": 1200,
        "units_done": 200,
        "pages": 800,
        "events_written": 45_000,
        "throttled": 3,
        "failures": 1,
        "left_s": 160,
    }
    progress.stop.ask("SIGINT")
    stopping = progress.shown()
    assert (stopping.total.left_s, stopping.stopped_by) == (None, "SIGINT")
    scope.listing_needed()
    finding = progress.shown().total
    assert (finding.phase, finding.left_s) == (ScopePhase.FINDING, None)


def test_fetched_units_are_apart_from_committed_ones_and_the_percentage_never_falls() -> None:
    """What waits for its commit is in no percentage; a unit that turns up late takes nothing back."""
    scope = a_scope({Outcome.EXPORTED: 50}, found=100)
    progress = Progress(RunLedger("a-run", [scope]), lambda: 0.0)
    for _ in range(30):
        scope.unit_fetched()
    [shown] = progress.shown().scopes
    assert (shown.units, shown.percent, shown.phase) == (UnitTally(100, 50, 30), 50, ScopePhase.FETCHING)
    scope.units_committed([Outcome.EXPORTED] * 29)
    scope.unit_failed("unit", Refused("odd", "Code"), was_fetched=True)
    assert progress.shown().total.units == UnitTally(100, 80, 0)
    for _ in range(60):
        scope.unit_found()
    assert [sample.percent for sample in (*progress.shown().scopes, progress.shown().total)] == [80, 80]
    for _ in range(80):
        scope.unit_fetched()
    assert progress.shown().total.phase is ScopePhase.COMMITTING


def test_lists_that_are_not_read_yet_count_in_the_percentage() -> None:
    """Half of what is known is done, and a quarter of the lists was read: an eighth, until more is known."""
    scope = a_scope({Outcome.EXPORTED: 50}, found=100)
    scope.calls["ListParticipants"] = 1
    for _ in range(4):
        scope.listing_needed()
    progress = Progress(RunLedger("a-run", [scope]), lambda: 0.0)
    assert (progress.shown().total.phase, progress.shown().total.percent) == (ScopePhase.FINDING, 0)
    scope.listing_read()
    assert progress.shown().total.percent == 12
    for _ in range(4):
        scope.listing_needed()
    assert progress.shown().total.percent == 12


def test_how_far_a_scope_is() -> None:
    """Each phase is known by its own sign; all together are as far as the last of them."""
    starting, finding, stopped, empty = a_scope(), a_scope(), a_scope(found=2), a_scope()
    for scope in (starting, finding):
        scope.listing_needed()
    finding.calls["ListStages"] = 1
    stopped.seconds, empty.is_empty = 1.0, True
    done, fetching = a_scope({Outcome.EXPORTED: 1}), a_scope(found=1)
    ledger = RunLedger("a-run", [done, a_held_scope(), a_lost_scope(), empty, stopped, fetching, starting, finding])
    samples = Progress(ledger, lambda: 0.0).shown()
    assert [scope.phase for scope in samples.scopes] == [
        *(ScopePhase.DONE, ScopePhase.HELD, ScopePhase.LOST, ScopePhase.EMPTY, ScopePhase.STOPPED),
        *(ScopePhase.FETCHING, ScopePhase.STARTING, ScopePhase.FINDING),
    ]
    assert samples.total.phase is ScopePhase.FINDING
    assert samples.total.counts.failed == 2
    ledger.scopes[-2:] = []
    assert Progress(ledger, lambda: 0.0).shown().total.phase is ScopePhase.FETCHING


def test_units_that_cost_nothing_are_not_waited_for() -> None:
    """Units that are unchanged take no call, so they neither count as work nor as pace."""
    ledger, now_s = RunLedger("a-run", [a_scope({Outcome.UNCHANGED: 900}, found=1000)]), [0.0]
    progress = Progress(ledger, lambda: now_s[0])
    progress.sample()
    now_s[0], ledger.scopes[0].calls["ListParticipantEvents"] = 10.0, 50
    progress.sample()
    assert progress.left_s() == 50 / 5.0


def test_progress_of_a_run_that_has_not_begun_is_empty() -> None:
    """Before the first scope is known, and while scopes come, there is nothing to divide by."""
    ledger, now_s = RunLedger("a-run"), [0.0]
    progress = Progress(ledger, lambda: now_s[0])
    progress.sample()
    assert progress.shown().scopes == ()
    ledger.scopes.append(a_scope())
    progress.sample()
    assert progress.pace(0) == {}
    assert progress.left_s() is None


@pytest.mark.parametrize(("log_format", "begins"), [("auto", "{"), ("json", "{"), ("text", "2")])
def test_log_lines_have_the_form_that_is_asked_for(
    log_format: str, begins: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody looks on, JSON unless text is asked for, whose lines begin with their time."""
    monkeypatch.setenv("IVS_EXPORT_TELEMETRY__LOG_FORMAT", log_format)

    async def export(*_: object) -> None:
        raise LakeRefused("denied\x1b")

    assert main(["run", "--region", "eu-west-1"], export) == 1
    began, *_, failed = capsys.readouterr().err.splitlines()
    assert began.startswith(begins)
    assert "run began" in began
    assert "\x1b" not in failed
    assert failed.startswith("ivs-export: denied" if log_format == "text" else '{"event": "failed"')


def test_json_lines_are_for_a_terminal_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for JSON gets it, without a display between the lines, also where rich would call it a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")

    async def export(*_: object) -> None:
        await asyncio.sleep(0)

    assert main(["run", "--region", "eu-west-1", "--log-format", "json"], export) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["run began", "run ended"]
