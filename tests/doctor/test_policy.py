"""The policy that doctor prints: the one of `config/iam-policy.json`, with what these settings need and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exporter.doctor.policy import policies_of
from exporter.settings import AccountSettings, CatalogSettings, S3Settings, Settings, TableSettings

EXAMPLE = json.loads((Path(__file__).parents[2] / "config" / "iam-policy.json").read_text())
ACCOUNT, OTHER = "111122223333", "444455556666"
KEY = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"
ALL = Settings(lake="s3://my-lake/ivs", tables=TableSettings(details=True), s3=S3Settings(kms_key_id=KEY))


def sids(policy: dict[str, Any]) -> list[str]:
    return [statement["Sid"] for statement in policy["Statement"]]


def test_with_all_that_there_is_it_is_the_examples() -> None:
    """The file in `config` and what is printed are one."""
    assert policies_of(ALL, ACCOUNT) == {"exporter": EXAMPLE}


def test_what_is_not_needed_is_left_out() -> None:
    """Details, a key and a bucket are each in it where the settings say so."""
    assert sids(policies_of(Settings(), None)["exporter"]) == ["ReadParticipantEvents"]
    plain = policies_of(Settings(lake="s3://my-lake"), ACCOUNT)["exporter"]
    assert sids(plain) == ["ReadParticipantEvents", "SeeTheLake", "WriteTheLake"]
    assert plain["Statement"][2]["Resource"] == "arn:aws:s3:::my-lake/*"
    assert policies_of(Settings(), None)["exporter"]["Statement"][0]["Resource"] == "arn:aws:ivs:*:*:stage/*"


def test_each_role_has_its_own() -> None:
    """The run's own credentials assume the roles and write the lake; a role reads IVS in its account."""
    roles = [f"arn:aws:iam::{account}:role/ivs-export" for account in (ACCOUNT, OTHER)]
    accounts = tuple(AccountSettings(role_arn=role) for role in roles)
    policies = policies_of(ALL.model_copy(update={"accounts": accounts}), "777788889999")
    assert list(policies) == ["exporter", *roles]
    assert sids(policies["exporter"]) == ["AssumeTheRoles", "SeeTheLake", "WriteTheLake", "UseTheLakesKey"]
    assert policies["exporter"]["Statement"][0]["Resource"] == roles
    assert {each["Resource"] for each in policies[roles[1]]["Statement"]} == {f"arn:aws:ivs:*:{OTHER}:stage/*"}


def test_a_catalog_of_glue() -> None:
    """It is the example in `config`, for whichever region the catalog is in; other catalogs need nothing of AWS's."""
    example = json.loads((Path(__file__).parents[2] / "config" / "glue-policy.json").read_text())["Statement"]
    glue = ALL.model_copy(update={"catalog": CatalogSettings(kind="glue")})
    [*_, statement] = policies_of(glue, ACCOUNT)["exporter"]["Statement"]
    statement["Resource"] = [resource.replace(":*:", ":us-east-1:") for resource in statement["Resource"]]
    assert [statement] == example
    sql = ALL.model_copy(update={"catalog": CatalogSettings(kind="sql")})
    assert policies_of(sql, ACCOUNT) == policies_of(ALL, ACCOUNT)


def test_a_topic_that_is_notified() -> None:
    """The run's own credentials publish on it, and on no other."""
    arn = "arn:aws:sns:eu-west-1:111122223333:nights"
    told = Settings.model_validate({"notify": {"sns_topic_arn": arn}})
    assert policies_of(told, None)["exporter"]["Statement"][-1] == {
        "Sid": "NotifyTheTopic",
        "Effect": "Allow",
        "Action": ["sns:Publish"],
        "Resource": arn,
    }


def test_a_key_by_its_id_or_its_alias() -> None:
    """A policy knows keys by their ARN alone."""
    for key, resource in (
        ("1234", f"arn:aws:kms:*:{ACCOUNT}:key/1234"),
        ("alias/lakes", f"arn:aws:kms:*:{ACCOUNT}:key/*"),
        (f"arn:aws:kms:eu-west-1:{OTHER}:alias/lakes", f"arn:aws:kms:eu-west-1:{OTHER}:key/*"),
    ):
        settings = ALL.model_copy(update={"s3": S3Settings(kms_key_id=key)})
        assert policies_of(settings, ACCOUNT)["exporter"]["Statement"][-1]["Resource"] == resource
