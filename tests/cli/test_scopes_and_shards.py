from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporter.cli.app import main
from exporter.pipeline.scope_plan import plan_scopes

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

ONE, TWO = "111122223333", "444455556666"
FILE = (
    'regions = ["us-east-1", "eu-west-1"]\n'
    f'[[accounts]]\nrole_arn = "arn:aws:iam::{TWO}:role/reader"\nregions = ["us-west-2"]\n'
    f'[[accounts]]\nrole_arn = "arn:aws:iam::{ONE}:role/reader"\nexternal_id = "hush-hush-hush"\n'
)
NAMES = [f"{ONE}/eu-west-1", f"{ONE}/us-east-1", f"{TWO}/us-west-2"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "settings.toml"
    path.write_text(FILE)
    return str(path)


def test_scopes_are_listed_without_a_call(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, in the order in which shards count them; no credentials are there, and no secret is shown."""
    assert main(["scopes", "--config", file]) == 0
    assert capsys.readouterr().out.splitlines() == NAMES
    assert main(["scopes", "--config", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"account_id": name.partition("/")[0], "region": name.partition("/")[2]} for name in NAMES
    ]


def test_scopes_of_ones_own_credentials(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """They are ``base`` and the regions that a run would ask, with no account; without a region it is wrong usage."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert main(["scopes"]) == 0
    assert capsys.readouterr().out == "base/eu-west-1\n"
    monkeypatch.delenv("AWS_REGION")
    assert main(["scopes", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def chosen(*typed: str) -> list[str]:
    """The scopes that a run with these options takes."""
    found: list[str] = []

    async def export(settings: Settings, request: Request, _ledger: RunLedger, _stop: Stop) -> None:
        found.extend(f"{plan.account_id or 'base'}/{plan.region}" for plan in plan_scopes(settings, request))

    assert main(["run", "--json", *typed], export) == 0
    return sorted(found)


def test_shards_are_counted_before_other_options_choose(file: str) -> None:
    """What is typed beside --shard takes from the shard, and moves nothing from one shard to another."""
    assert [chosen("--config", file, "--shard", f"{index}/2") for index in (1, 2)] == [NAMES[::2], NAMES[1::2]]
    for index, own in ((1, NAMES[:1]), (2, NAMES[1:2])):
        assert chosen("--config", file, "--shard", f"{index}/2", "--account", ONE) == own
    stage = f"arn:aws:ivs:us-west-2:{TWO}:stage/AbCd"
    assert [chosen("--config", file, "--shard", f"{index}/2", "--stage", stage) for index in (1, 2)] == [NAMES[2:], []]


def test_typed_regions_are_counted_where_none_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where some are, in the file or the environment, those are counted, and the typed ones choose among them."""
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    typed = ("--region", "us-east-1", "--region", "eu-west-1", "--region", "eu-central-1")
    assert chosen(*typed, "--shard", "1/2") == ["base/eu-central-1", "base/us-east-1"]
    monkeypatch.setenv("IVS_EXPORT_REGIONS", "eu-west-1,us-east-1")
    shards = [chosen("--region", "us-east-1", "--shard", f"{index}/2") for index in (1, 2)]
    assert shards == [[], ["base/us-east-1"]]


@pytest.mark.parametrize("wrong", [["--shard", "3/2"], ["--account", "12"], ["--account", "９" * 12]])  # noqa: RUF001 - digits that are none of ours
def test_a_wrong_choice_of_scopes(wrong: list[str], file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is wrong usage, and the line says what is right."""
    assert main(["run", "--config", file, "--json", *wrong]) == 2
    assert wrong[0] in json.loads(capsys.readouterr().out)["failures"][0]["message"]


def test_an_account_that_is_not_configured(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is wrong usage, before credentials are looked for or a lake is made."""
    lake = tmp_path / "lake"
    assert main(["run", "--config", file, "--json", "--lake", str(lake), "--account", "9" * 12]) == 2
    assert "[[accounts]]" in json.loads(capsys.readouterr().out)["failures"][0]["message"]
    assert not lake.exists()


def test_an_empty_shard(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has nothing to do, says so in its summary, and needs neither credentials nor a lake."""
    lake = tmp_path / "lake"
    assert main(["run", "--config", file, "--json", "--lake", str(lake), "--shard", "4/4", "--tag", "night 7"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["outcome"], summary["scopes"], summary["tag"], summary["more_to_do"]) == (
        "nothing",
        [],
        "night 7",
        False,
    )
    assert not lake.exists()
