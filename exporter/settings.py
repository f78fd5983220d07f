"""The settings that options, environment and file give a run: frozen, checked, and complete with defaults.

`exporter.cli.settings_sources` gathers the values, and names the source of a wrong one.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from exporter.model import checked_address, scope_of
from exporter.setting_types import (
    CheckedText,
    CheckedTexts,
    Count,
    NotNegative,
    Positive,
    Properties,
    Regions,
    Section,
    check_regions,
    once,
    split,
)
from exporter.text import shown
from exporter.watch_settings import NotifySettings, TelemetrySettings

# Sources: IAM User Guide, "IAM identifiers"; STS API Reference, "AssumeRole". IVS Real-Time is in no partition but aws.
_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account_id>[0-9]{12}):role/(?:[!-~]+/)?[\w+=,.@-]{1,64}", re.ASCII)
_ROLE_ARN_LENGTH_MAX = 2_048
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
# Source: Glue API Reference, "DatabaseInput"; Athena User Guide, "Name databases, tables, and columns".
_DATABASE = re.compile(r"[a-z0-9_]{1,255}")

#: Whether something is written as AWS sent it, or not at all.
Mode = Literal["keep", "drop"]


def _kept_attributes(value: object) -> object:
    """A mode, or the names of attributes: a list in the file, a text with commas elsewhere.

    A single word that is no mode is refused, and so is a text in brackets: each would be the name of an attribute that
    nobody has.
    """
    if not isinstance(value, str) or value in get_args(Mode):
        return value
    if "," not in value:
        raise ValueError('should be "keep", "drop", or the names of those to keep (a text with a comma, if only one)')
    if value.strip().startswith("["):
        raise ValueError("should be names with commas between, without brackets and quotes around them")
    return split(value)


def _check_database(name: str) -> str:
    if not _DATABASE.fullmatch(name):
        raise ValueError("should be 1 to 255 small letters, digits and _, the name of a database in Glue and elsewhere")
    return name


class TableSettings(Section):
    """Which tables are written beside ``events``.

    ``details`` asks GetParticipant once for each row of ``participants``; live applications draw on that quota, too.
    """

    stages: bool = True
    sessions: bool = True
    participants: bool = True
    details: bool = False

    @field_validator("details")
    @classmethod
    def _check_details(cls, details: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic passes it so
        if details and not info.data.get("participants", True):
            raise ValueError("details stand in the table participants, which is switched off")
        return details


class PrivacySettings(Section):
    """What is written of users, in every table and in rejects.

    ``attributes`` may be the names of those that are kept. ``key`` is what user ids are hashed with. It has no place in
    the settings' file, and is shown nowhere.
    """

    user_id: Literal["keep", "hash", "drop"] = "keep"
    attributes: Annotated[Mode | tuple[CheckedText, ...], BeforeValidator(_kept_attributes)] = "keep"
    extra: Mode = "keep"
    key: SecretStr | None = None


class QuotaSettings(Section):
    """How fast each operation may be called in each scope, in calls a second.

    AWS allows 5 and adjusts it for nobody (Real-Time User Guide, "Service Quotas"). ``reserve`` is the share of it that
    is left to the account's other users.
    """

    calls_per_second: Positive = 5.0
    reserve: Annotated[NotNegative, Field(le=0.9)] = 0.0

    @property
    def rate(self) -> float:
        """Calls a second that a run may make of each operation: the quota less the reserve."""
        return self.calls_per_second * (1.0 - self.reserve)


class RunSettings(Section):
    """How a run goes. ``deadline_s`` of 0 is none; ``concurrency`` is of requests in flight in a scope."""

    concurrency: Count = 32
    checkpoint_s: Positive = 300.0
    deadline_s: NotNegative = 0.0
    active_sessions: bool = True
    grace_s: NotNegative = 900.0
    give_up_days: NotNegative = 30.0


class RetrySettings(Section):
    """How long a call is tried: the number of attempts, and the seconds for all of them together."""

    attempts: Count = 8
    timeout_s: Positive = 300.0


class HttpSettings(Section):
    """How long one attempt waits for the service."""

    connect_timeout_s: Positive = 5.0
    read_timeout_s: Positive = 20.0


class S3Settings(Section):
    """What is passed on to S3, in the values that S3 knows; None is not passed.

    The owner goes with every call. Encryption and ACL go with whatever makes an object. The storage class is for data
    files alone: records are small and read by every run, and the cold classes bill each object as 128 KiB or more, and
    each read (Amazon S3 User Guide, "Storage classes").
    """

    sse: CheckedText | None = None
    kms_key_id: CheckedText | None = None
    expected_bucket_owner: CheckedText | None = None
    storage_class: CheckedText | None = None
    acl: CheckedText | None = None

    def of_call(self) -> dict[str, str]:
        """Members of any call, by the names of S3's API."""
        return _set_members(ExpectedBucketOwner=self.expected_bucket_owner)

    def of_record(self) -> dict[str, str]:
        """Further members of the call that makes a record."""
        return _set_members(ServerSideEncryption=self.sse, SSEKMSKeyId=self.kms_key_id, ACL=self.acl)

    def of_data(self) -> dict[str, str]:
        """Further members of the call that begins a data file."""
        return self.of_record() | _set_members(StorageClass=self.storage_class)


class QuerySettings(Section):
    """What a question to the lake may take. Beyond ``memory_gib`` DuckDB goes on in the temporary folder."""

    memory_gib: Positive = 2.0


class CatalogSettings(Section):
    """The catalog that ``publish`` and each run keep up to date; none where ``kind`` is empty.

    ``database`` is what the tables stand in there. ``properties`` are the catalog's own, by their dotted names; they
    may hold secrets, and are shown nowhere. ``hive`` is of Glue alone: tables that need no publishing, beside the
    others. ``compact_mib`` is how much of the lake's files ``publish --compact`` merges into one, in MiB.
    """

    kind: Literal["", "glue", "rest", "sql"] = ""
    database: Annotated[CheckedText, AfterValidator(_check_database)] = "ivs"
    properties: Properties = {}  # noqa: RUF012 - pydantic copies it
    hive: bool = True
    compact_mib: Positive = 128.0


class AccountSettings(Section):
    """An account to export, and the role in it that may read its IVS. No ``regions`` means the run's.

    ``external_id`` is what the role's trust policy asks for; it is shown nowhere.
    """

    role_arn: CheckedText
    external_id: SecretStr | None = None
    regions: Regions = ()

    @property
    def account_id(self) -> str:
        """The account that the role is in: twelve digits."""
        return self.role_arn.split(":")[4]

    @field_validator("role_arn")
    @classmethod
    def _check_role_arn(cls, role_arn: str) -> str:
        if not _ROLE_ARN.fullmatch(role_arn) or len(role_arn) > _ROLE_ARN_LENGTH_MAX:
            raise ValueError("should be a role's ARN, such as arn:aws:iam::123456789012:role/ivs-export")
        return role_arn

    @field_validator("external_id")
    @classmethod
    def _check_external_id(cls, external_id: SecretStr | None) -> SecretStr | None:
        if external_id is not None and not _EXTERNAL_ID.fullmatch(external_id.get_secret_value()):
            raise ValueError("should be 2 to 1224 letters, digits and _+=,.@:/-")
        return external_id


class Settings(Section):
    """All settings of a run. ``regions``, ``stages`` and ``exclude_stages`` hold each name once, in their order.

    ``lake`` is a directory, its ``~`` expanded, or ``s3://bucket/prefix``; no ``stages`` means all but
    ``exclude_stages``. ``accounts``, each once, are all that is exported, each with its role; without any it is the
    account that the run's own credentials are of.
    """

    lake: CheckedText = "./lake"
    regions: Regions = ()
    stages: CheckedTexts = ()
    exclude_stages: CheckedTexts = ()
    accounts: tuple[AccountSettings, ...] = ()
    tables: TableSettings = TableSettings()
    privacy: PrivacySettings = PrivacySettings()
    quota: QuotaSettings = QuotaSettings()
    run: RunSettings = RunSettings()
    retry: RetrySettings = RetrySettings()
    http: HttpSettings = HttpSettings()
    s3: S3Settings = S3Settings()
    query: QuerySettings = QuerySettings()
    catalog: CatalogSettings = CatalogSettings()
    notify: NotifySettings = NotifySettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @field_validator("lake")
    @classmethod
    def _check_lake(cls, lake: str) -> str:
        return checked_address(lake)

    @field_validator("accounts")
    @classmethod
    def _check_accounts(cls, accounts: tuple[AccountSettings, ...]) -> tuple[AccountSettings, ...]:
        ids = [account.account_id for account in accounts]
        for account_id in ids:
            if ids.count(account_id) > 1:
                raise ValueError(f"account {account_id} stands there more than once")
        return accounts

    @field_validator("stages", "exclude_stages")
    @classmethod
    def _check_stages(cls, stages: tuple[str, ...]) -> tuple[str, ...]:
        for arn in stages:
            scope = scope_of(arn)
            if scope is None:
                raise ValueError(f"{shown(arn)} is no stage ARN, such as arn:aws:ivs:eu-west-1:123456789012:stage/AbCd")
            check_regions([scope.region])
        return once(stages)

    @field_validator("exclude_stages")
    @classmethod
    def _check_excluded(cls, excluded: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if both := set(excluded) & set(info.data.get("stages", ())):
            raise ValueError(f"{min(both)} is one of the stages to export, too")
        return excluded

    def account(self, account_id: str) -> AccountSettings | None:
        """The account with this id, None where it is not one of ``accounts``."""
        return next((account for account in self.accounts if account.account_id == account_id), None)


def _set_members(**members: str | None) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
