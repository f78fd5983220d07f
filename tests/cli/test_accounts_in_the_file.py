from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.cli import settings_sources
from exporter.cli.settings_sources import load
from exporter.discovery.request import Request
from exporter.discovery.target_list import Targets
from exporter.errors import UsageError
from exporter.model import Scope
from exporter.pipeline.regions import with_regions
from exporter.pipeline.scope_plan import plan_scopes
from exporter.settings import AccountSettings, Settings

if TYPE_CHECKING:
    from exporter.pipeline.scope_plan import ScopePlan

SECRET = "hush-hush-hush"
ONE, TWO, OTHER = "111122223333", "444455556666", "777788889999"
TABLE = f'[[accounts]]\nrole_arn = "arn:aws:iam::{ONE}:role/reader"\n'
SECOND = f'[[accounts]]\nrole_arn = "arn:aws:iam::{TWO}:role/path/to/reader"\n'


def loaded(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return load({}, file)


def parts_of(settings: Settings, request: Request | None = None) -> dict[tuple[str | None, str], ScopePlan]:
    return {(part.account_id, part.region): part for part in plan_scopes(settings, request or Request())}


def stage(account: str, region: str) -> str:
    return f"arn:aws:ivs:{region}:{account}:stage/AbCd"


def no_profile() -> str | None:
    raise AssertionError("the profile was asked")


def test_each_account_is_read_in_its_own_regions_or_the_runs(tmp_path: Path) -> None:
    """Every account and region makes a scope that knows its account's role; an account's own regions come first."""
    settings = loaded(
        tmp_path,
        'regions = ["us-west-2"]\n'
        + TABLE
        + f'external_id = "{SECRET}"\n'
        + SECOND
        + 'regions = "eu-west-1,us-east-1"\n',
    )
    assert [account.account_id for account in settings.accounts] == [ONE, TWO]
    external_ids = [account.external_id and account.external_id.get_secret_value() for account in settings.accounts]
    assert external_ids == [SECRET, None]
    parts = parts_of(with_regions(settings, None, no_profile))
    assert set(parts) == {(ONE, "us-west-2"), (TWO, "eu-west-1"), (TWO, "us-east-1")}
    assert all(part.account is settings.account(account_id or "") for (account_id, _), part in parts.items())


def test_no_region_is_asked_for_where_each_account_has_its_own(tmp_path: Path) -> None:
    """A profile's region, or the lack of one, is of no interest then; where one account has none, it is."""
    with_regions(loaded(tmp_path, TABLE + 'regions = ["eu-west-1"]\n'), None, no_profile)
    settings = loaded(tmp_path, TABLE + 'regions = ["eu-west-1"]\n' + SECOND)
    assert set(parts_of(with_regions(settings, None, lambda: "us-west-2"))) == {(ONE, "eu-west-1"), (TWO, "us-west-2")}


def test_an_external_id_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither the settings' repr nor an error about them holds it, wherever in the table the mistake is."""
    assert SECRET not in repr(loaded(tmp_path, TABLE + f'external_id = "{SECRET}"\n'))
    for flaw in ("regions = 5\n", 'regions = ["mars-1"]\n', "rgions = []\n", TABLE, "[[accounts]]\n"):
        with pytest.raises(UsageError) as raised:
            loaded(tmp_path, TABLE + f'external_id = "{SECRET}"\n' + flaw)
        assert SECRET not in str(raised.value)
    for wrong in (f'"{SECRET} !"', f'["{SECRET}"]', '"x"'):
        with pytest.raises(UsageError, match=r"\[\[accounts\]\] number 1\.external_id is refused: should be") as raised:
            loaded(tmp_path, TABLE + f"external_id = {wrong}\n")
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE + "[[accounts]]\nrole_arm = 'x'", "[[accounts]] number 2.role_arm is no key; did you mean role_arn?"),
        (TABLE + "external-id = 'x'", "[[accounts]] number 1.external-id is no key; did you mean external_id?"),
        ("[[account]]\nrole_arn = 'x'", "account is no key; did you mean accounts?"),
        ("[accounts]\nrole_arn = 'x'", "each of the accounts is a table of its own, written [[accounts]]"),
        ("accounts = ['x']", "each of the accounts is a table of its own, written [[accounts]]"),
        ("[[accounts]]\nregions = []", "[[accounts]] number 1.role_arn is refused: Field required"),
        ("[[accounts]]\nrole_arn = 'x'", "[[accounts]] number 1.role_arn: 'x' is refused: should be a role's ARN"),
        ("[[accounts]]\nrole_arn = 'arn:aws:iam::1:role/x'", "should be a role's ARN"),
        ("[[accounts]]\nrole_arn = 'arn:aws:iam::111122223333:user/x'", "should be a role's ARN"),
        ("[[accounts]]\nrole_arn = 'arn:aws:iam::111122223333:role/'", "should be a role's ARN"),
        (
            TABLE + "regions = ['mars-1']",
            "[[accounts]] number 1.regions: ['mars-1'] is refused: 'mars-1' is no AWS region",
        ),
        (TABLE + SECOND + TABLE, f"accounts are refused: account {ONE} stands there more than once"),
    ],
)
def test_a_wrong_account_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """An error names the file, the account's number, the key and the reason, in one line."""
    with pytest.raises(UsageError) as raised:
        loaded(tmp_path, text)
    assert str(raised.value).startswith(str(tmp_path / "settings.toml"))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_accounts_have_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable can't tell tables, so that none is passed over in silence."""
    monkeypatch.setenv("IVS_EXPORT_ACCOUNTS", "x")
    with pytest.raises(UsageError, match="unknown variable IVS_EXPORT_ACCOUNTS"):
        load({})


def test_stages_and_targets_are_read_with_their_accounts_roles(tmp_path: Path) -> None:
    """A stage or target that is named makes the scope, and its account gives the role."""
    settings = loaded(tmp_path, TABLE + SECOND + 'regions = ["us-east-1"]\n')
    named = settings.model_copy(update={"stages": (stage(ONE, "eu-west-1"), stage(TWO, "us-east-1"))})
    parts = parts_of(with_regions(named, None, no_profile))
    assert {key: part.account for key, part in parts.items()} == {
        (ONE, "eu-west-1"): settings.accounts[0],
        (TWO, "us-east-1"): settings.accounts[1],
    }
    targets = Targets({stage(TWO, "us-east-1"): {}})
    with_regions(settings, targets, lambda: "us-east-1")
    assert parts_of(settings, Request(targets))[TWO, "us-east-1"].account is settings.accounts[1]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (Scope(OTHER, "us-east-1"), f"in us-east-1, but account {OTHER} is none of the [[accounts]] in the file"),
        (Scope(TWO, "eu-west-1"), "in eu-west-1, which is none of the regions to export: us-east-1"),
        (Scope(ONE, "ap-south-1"), "in ap-south-1, which is none of the regions to export: eu-west-1"),
    ],
)
def test_a_stage_or_target_elsewhere_is_refused(scope: Scope, message: str, tmp_path: Path) -> None:
    """Accounts and regions say where a run may look at all: what is beyond them is a mistake."""
    settings = loaded(tmp_path, 'regions = ["eu-west-1"]\n' + TABLE + SECOND + 'regions = ["us-east-1"]\n')
    arn = stage(scope.account_id, scope.region)
    with pytest.raises(UsageError, match=re.escape(message)):
        with_regions(settings, Targets({arn: {}}), no_profile)
    with pytest.raises(UsageError, match=re.escape(f"stage {arn} is {message}")):
        with_regions(settings.model_copy(update={"stages": (arn,)}), None, no_profile)


def test_the_sample_policies_fit_each_other() -> None:
    """The trust policy lets the one who exports assume roles, and asks for an external id that the settings take."""
    config = Path(settings_sources.__file__).parents[2] / "config"
    (statement,) = json.loads((config / "trust-policy.json").read_text())["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    external_id = statement["Condition"]["StringEquals"]["sts:ExternalId"]
    AccountSettings(role_arn=f"arn:aws:iam::{ONE}:role/ivs-export", external_id=external_id)
