"""The least IAM policy for a configuration: what the run's own credentials need, and what each account's role. Pure.

`config/iam-policy.json` and `config/glue-policy.json` are the same, filled in with examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.ivs.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.settings import Settings

    Statement = dict[str, Any]

_READING = [f"ivs:{name}" for name in Operation if name is not Operation.GET_PARTICIPANT]
_LISTING = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
_CATALOG = [
    "glue:CreateDatabase",
    "glue:CreateTable",
    "glue:DeleteTable",
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:UpdateTable",
]
_WRITING = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListMultipartUploadParts",
    "s3:AbortMultipartUpload",
]


def policies_of(settings: Settings, account_id: str | None) -> dict[str, Any]:
    """The policies by who has them: ``exporter`` for the run's own credentials, and each account's role by its ARN.

    ``account_id`` is the account of the run's own credentials; where it is None, ``*`` stands for it.
    """
    of_lake = [*_of_lake(settings, account_id), *_of_catalog(settings, account_id), *_of_notices(settings)]
    if not settings.accounts:
        return {"exporter": _policy([*_of_stages(settings, account_id or "*"), *of_lake])}
    roles = {account.role_arn: _policy(_of_stages(settings, account.account_id)) for account in settings.accounts}
    assume = _statement("AssumeTheRoles", ["sts:AssumeRole"], list(roles))
    return {"exporter": _policy([assume, *of_lake]), **roles}


def _of_stages(settings: Settings, account_id: str) -> list[Statement]:
    """What reads IVS. The regions are left open: in those without stages, doctor asks the others."""
    stages = f"arn:aws:ivs:*:{account_id}:stage/*"
    statements = [_statement("ReadParticipantEvents", _READING, stages)]
    if settings.tables.details:
        statements.append(_statement("ReadParticipantDetails", [f"ivs:{Operation.GET_PARTICIPANT}"], stages))
    return statements


def _of_lake(settings: Settings, account_id: str | None) -> list[Statement]:
    """What reads and writes the lake; nothing for one in a directory."""
    if not settings.lake.startswith("s3://"):
        return []
    bucket, _, prefix = settings.lake.removeprefix("s3://").partition("/")
    objects = "/".join(filter(None, (bucket, prefix.strip("/"), "*")))
    statements = [
        _statement("SeeTheLake", _LISTING, f"arn:aws:s3:::{bucket}"),
        _statement("WriteTheLake", _WRITING, f"arn:aws:s3:::{objects}"),
    ]
    if settings.s3.kms_key_id:
        key = _key_arn(settings.s3.kms_key_id, account_id)
        statements.append(_statement("UseTheLakesKey", ["kms:GenerateDataKey", "kms:Decrypt"], key))
    return statements


def _of_catalog(settings: Settings, account_id: str | None) -> list[Statement]:
    """What keeps the tables of a catalog, where that is Glue's; others have permissions of their own."""
    if settings.catalog.kind != "glue":
        return []
    database = settings.catalog.database
    of_account = f"arn:aws:glue:*:{account_id or '*'}"
    things = [f"{of_account}:{thing}" for thing in ("catalog", f"database/{database}", f"table/{database}/*")]
    return [_statement("KeepTheTablesOfACatalog", _CATALOG, things)]


def _of_notices(settings: Settings) -> list[Statement]:
    """What publishing a run's end to a topic needs."""
    topic_arn = settings.notify.sns_topic_arn
    return [] if topic_arn is None else [_statement("NotifyTheTopic", ["sns:Publish"], topic_arn)]


def _key_arn(key: str, account_id: str | None) -> str:
    """A key's ARN. An alias is none in a policy: any key of the account may be meant."""
    if key.startswith("arn:") and ":alias/" not in key:
        return key
    account, region = account_id or "*", "*"
    if key.startswith("arn:"):
        region, account = key.split(":")[3:5]
    name = "*" if "alias/" in key else key
    return f"arn:aws:kms:{region}:{account}:key/{name}"


def _statement(sid: str, actions: Iterable[str], resource: str | list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _policy(statements: list[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
