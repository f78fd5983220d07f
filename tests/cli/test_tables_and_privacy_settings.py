"""The settings of tables and privacy: what is taken, what is refused, and that a key is shown nowhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli import exit_codes
from exporter.cli.app import main
from exporter.cli.settings_sources import keys, load
from exporter.errors import UsageError
from exporter.settings import PrivacySettings, Settings, TableSettings

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop

KEY = "correct horse battery staple"
VARIABLE = "IVS_EXPORT_PRIVACY__KEY"
RUN = ["run", "--region", "eu-west-1"]


async def _exported(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:
    """An export of nothing."""


async def _unreached(*_: Any) -> None:
    raise AssertionError("the run began")


def test_the_key_comes_from_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no key of the file, and has no option."""
    assert ("privacy", "key") not in keys()
    monkeypatch.setenv(VARIABLE, KEY)
    settings = load({})
    assert settings.privacy.key is not None
    assert settings.privacy.key.get_secret_value() == KEY
    file = tmp_path / "settings.toml"
    file.write_text(f'[privacy]\nkey = "{KEY}"\n')
    with pytest.raises(UsageError) as raised:
        load({}, file)
    assert str(raised.value) == (
        f"{file}: privacy.key is refused: a key that stands in a file is no secret; set {VARIABLE} instead"
    )


def test_the_key_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a repr, not in an error about its section, and not as text of the settings."""
    monkeypatch.setenv(VARIABLE, KEY)
    settings = load({"privacy": {"user_id": "hash"}})
    assert KEY not in repr(settings) + str(settings) + settings.model_dump_json()
    for wrong in ({"user_id": "hsah"}, {"attributes": "drpo"}, {"extra": ["x"]}):
        with pytest.raises(UsageError) as raised:
            load({"privacy": wrong})
        assert KEY not in str(raised.value)
    for name in (f"{VARIABLE}S", "IVS_EXPORT_PRIVACY_KEY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, KEY)
            with pytest.raises(UsageError, match=f"did you mean {VARIABLE}") as raised:
                load({})
        assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"keep"', "keep"),
        ('"drop"', "drop"),
        ('["plan", "team"]', ("plan", "team")),
        ('["keep"]', ("keep",)),
        ("[]", ()),
        ('"plan,"', ("plan",)),
        ('"plan, team"', ("plan", "team")),
    ],
)
def test_attributes_are_a_mode_or_names(text: str, kept: object, tmp_path: Path) -> None:
    """A name that is also a mode's can be written in a list."""
    file = tmp_path / "settings.toml"
    file.write_text(f"[privacy]\nattributes = {text}\n")
    assert load({}, file).privacy.attributes == kept


@pytest.mark.parametrize("text", ["dorp", "hash", "plan", "Keep", ""])
def test_a_misspelt_mode_is_no_attribute(text: str) -> None:
    """It would drop all that was to be kept, or keep the wrong ones."""
    with pytest.raises(UsageError, match=re.escape(f"--privacy-attributes: '{text}' is refused: should be \"keep\"")):
        load({"privacy": {"attributes": text}})


@pytest.mark.parametrize("text", ['["plan", "team"]', " ['plan','team']", "[plan,team]"])
def test_a_list_as_the_file_has_it_is_no_attribute_in_a_variable(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names would begin with a bracket, and all attributes would be dropped, for as long as there is the lake."""
    monkeypatch.setenv("IVS_EXPORT_PRIVACY__ATTRIBUTES", text)
    with pytest.raises(UsageError, match="should be names with commas between, without brackets"):
        load({})


def test_details_need_their_table() -> None:
    """They are columns of participants."""
    assert load({"tables": {"details": "yes"}}).tables == TableSettings(details=True)
    with pytest.raises(UsageError, match=r"^--details: 'yes' is refused: details stand in the table participants"):
        load({"tables": {"participants": "no", "details": "yes"}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-participants-table", "--details"], "details stand in the table participants"),
        (["--backfill-tables", "--targets", "-"], "--backfill-tables is of the whole lake: leave out --targets"),
        (["--backfill-tables", "--since", "2026-01-01"], "leave out --since and --until"),
        (["--backfill-tables", "--until", "2026-01-01"], "leave out --since and --until"),
        (
            ["--backfill-tables", "--no-stages-table", "--no-sessions-table", "--no-participants-table"],
            "--backfill-tables has nothing to fill",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    options: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is started."""
    assert main([*RUN, *options], _unreached) == exit_codes.USAGE
    said = capfd.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_the_tables_are_backfilled_on_request() -> None:
    """The option reaches the run."""
    asked: list[bool] = []

    async def export(settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:
        asked.append(request.backfill_tables)
        await _exported(settings, request, ledger, stop)

    main(RUN, export)
    main([*RUN, "--backfill-tables"], export)
    assert asked == [False, True]


def test_all_is_kept_and_written_where_nothing_is_set() -> None:
    """The defaults are those of a lake from before there were such settings."""
    assert Settings().privacy == PrivacySettings(user_id="keep", attributes="keep", extra="keep", key=None)
    assert Settings().tables == TableSettings(stages=True, sessions=True, participants=True, details=False)
