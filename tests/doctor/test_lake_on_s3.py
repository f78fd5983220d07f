"""What doctor says of a lake on S3: each permission is taken away alone, and nothing is ever left behind."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from exporter.doctor.check import Check, Examination, examined
from exporter.doctor.lake_on_s3 import LakeOnS3
from exporter.doctor.lifecycle import faults_of_rules, is_ended
from exporter.doctor.way import Patience, WayToAws
from exporter.machine.clock import system_clock
from exporter.settings import S3Settings, Settings
from tests.doctor.conftest import BUCKET, IN_HASTE, assert_sound
from tests.support.exports import REGION
from tests.support.servers.faulty_proxy import Answer, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from aiohttp import web

    from tests.support.servers.faulty_proxy import Proxy

_numbers = count(1)
KEY = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"
#: The calls that each permission allows, as requests show them.
CALLS: dict[str, Callable[[web.Request], bool]] = {
    "s3:ListBucket": lambda request: request.method == "GET" and "list-type" in request.query,
    "s3:GetObject": lambda request: request.method == "GET" and "/lake-" in request.path,
    "s3:PutObject": lambda request: request.method in {"PUT", "POST"},
    "s3:DeleteObject": lambda request: request.method == "DELETE" and "uploadId" not in request.query,
    "s3:AbortMultipartUpload": lambda request: request.method == "DELETE" and "uploadId" in request.query,
    "s3:ListBucketMultipartUploads": lambda request: request.method == "GET" and "uploads" in request.query,
}
#: The checks that each is missed by; what needs those is skipped.
MISSED = {
    "s3:ListBucket": ("lake-list",),
    "s3:GetObject": ("lake-read",),
    "s3:PutObject": ("lake-create", "lake-uploads"),
    "s3:DeleteObject": ("lake-delete",),
    "s3:AbortMultipartUpload": ("lake-uploads",),
    "s3:ListBucketMultipartUploads": ("lake-uploads",),
}
UNHURRIED = Patience()


def denied(action: str, word: str = "is not authorized to perform: ") -> Answer:
    return Answer(403, f"<Error><Code>AccessDenied</Code><Message>User {word}{action}</Message></Error>".encode())


class Bucket:
    """A new lake's prefix in the bucket, behind a proxy. ``calls`` are those of the last checks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, proxy: Proxy, client: Any) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        self.proxy = proxy
        self.client = client
        # Other tests of this process have lakes in the same bucket.
        self.prefix = f"of-doctor/lake-{next(_numbers)}"
        self.calls: Counter[str] = Counter()

    async def checks(
        self, patience: Patience = UNHURRIED, *, lake: str | None = None, s3: S3Settings | None = None
    ) -> dict[str, Check]:
        """The checks of the lake alone. Nothing of the trials is left."""
        place = lake or f"s3://{BUCKET}/{self.prefix}"
        settings = Settings(lake=place, regions=(REGION,), s3=s3 or S3Settings())
        before = self.left()
        async with (
            WayToAws(settings, system_clock(), "tried", patience) as way,
            LakeOnS3(way, "tried", patience) as lake_on_s3,
        ):
            credentials = Examination("credentials", partial(identity_is_known, way))
            made = [check async for check in examined([credentials, *lake_on_s3.examinations()])][1:]
            self.calls = lake_on_s3.calls
        assert self.left() == before
        checks = {check.name: check for check in made}
        assert_sound(checks)
        return checks

    def left(self) -> list[str]:
        """What is in the bucket below the prefix, objects and uploads."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=self.prefix).get("Contents", ())
        uploads = self.client.list_multipart_uploads(Bucket=BUCKET, Prefix=self.prefix).get("Uploads", ())
        return [each["Key"] for each in (*listed, *uploads)]


@pytest.fixture
def client(moto_endpoint: str) -> Iterator[Any]:
    client = boto3.client(
        "s3", REGION, endpoint_url=moto_endpoint, aws_access_key_id="emulator", aws_secret_access_key="emulator"
    )
    yield client
    client.delete_bucket_lifecycle(Bucket=BUCKET)
    client.close()


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch, moto_endpoint: str, client: Any) -> AsyncIterator[Bucket]:
    async with faulty_proxy(moto_endpoint) as proxy:
        yield Bucket(monkeypatch, proxy, client)


async def identity_is_known(way: WayToAws) -> Check:
    """STS is asked elsewhere."""
    await way.open_accounts()
    return Check("credentials", "ok", "known")


def outcomes(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.outcome for name, check in checks.items()}


async def test_where_all_is_well_each_check_says_so(bucket: Bucket, client: Any) -> None:
    """A bucket as it should be, of which nothing is made a lake; the calls are counted."""
    rule = {"ID": "uploads", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": 7}
    client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    checks = await bucket.checks()
    assert set(outcomes(checks).values()) == {"ok"}, checks
    assert bucket.calls.total() == len(bucket.proxy.asked)


@pytest.mark.parametrize("action", CALLS)
async def test_each_permission_of_s3(bucket: Bucket, action: str) -> None:
    """The one that is missing is named, with what to allow; what needs it is skipped, and all else is ok."""
    bucket.proxy.rule = lambda request: denied(action) if CALLS[action](request) else None
    checks = await bucket.checks()
    failed = {name: check for name, check in checks.items() if check.outcome == "failed"}
    assert tuple(failed) == MISSED[action]
    for check in failed.values():
        assert action in check.detail
        assert f"allow {action}" in check.remedy or f"{action} on the" in check.remedy
    skipped = [check.detail for check in checks.values() if check.outcome == "skipped"]
    assert all(detail.removeprefix("needs ") in checks for detail in skipped)


async def test_a_store_that_ignores_conditions(bucket: Bucket) -> None:
    """It lets a record be made twice, and no lake can rest on it."""
    bucket.proxy.forgotten = frozenset({"if-none-match"})
    checks = await bucket.checks()
    assert checks["lake-conditions"].outcome == "failed"
    assert "ignores If-None-Match" in checks["lake-conditions"].detail


@pytest.mark.parametrize(("method", "action"), [("PUT", "kms:GenerateDataKey"), ("GET", "kms:Decrypt")])
async def test_a_key_that_is_denied(bucket: Bucket, method: str, action: str) -> None:
    """The key's refusal is the key's own check, not the bucket's, and names the key."""

    def rule(request: web.Request) -> Answer | None:
        is_object = "trial-" in request.path and not request.query.keys() - {"x-id"}
        return denied(action) if request.method == method and is_object else None

    bucket.proxy.rule = rule
    checks = await bucket.checks(s3=S3Settings(sse="aws:kms", kms_key_id=KEY))
    assert checks["lake-encryption"].outcome == "failed"
    assert action in checks["lake-encryption"].detail
    assert f"kms:GenerateDataKey and kms:Decrypt on {KEY}" in checks["lake-encryption"].remedy
    assert checks["lake-create"].detail == "needs lake-encryption"


async def test_encryption_that_a_store_does_not_do(bucket: Bucket) -> None:
    """What is asked for and what the store says differ."""
    bucket.proxy.forgotten = frozenset({"x-amz-server-side-encryption"})
    checks = await bucket.checks(s3=S3Settings(sse="aws:kms"))
    assert checks["lake-encryption"].outcome == "warning"


async def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    """One line says so, and nothing else is asked of it."""
    checks = await bucket.checks(lake="s3://no-such-bucket/ivs")
    assert checks["lake-list"].outcome == "failed"
    assert "there is no such bucket: make it, or mend `lake`" in checks["lake-list"].detail
    assert set(outcomes(checks).values()) == {"failed", "skipped"}


async def test_a_store_that_hangs(bucket: Bucket) -> None:
    """It is given up with host and cause."""
    bucket.proxy.rule = lambda _request: "silence"
    checks = await bucket.checks(IN_HASTE)
    assert checks["lake-list"].outcome == "failed"
    assert f"does not answer ({bucket.proxy.url.removeprefix('http://')}: nothing came in time" in (
        checks["lake-list"].detail
    )


async def test_a_lake_of_made_up_data(bucket: Bucket, client: Any) -> None:
    """A demo's lake is refused as a run would refuse it, and stays as it is."""
    marker = f"{bucket.prefix}/_made_by_ivs-export_demo"
    client.put_object(Bucket=BUCKET, Key=marker, Body=b"")
    bucket.left = list  # type: ignore[method-assign] # the marker is no trial's
    checks = await bucket.checks()
    assert checks["lake-kind"].outcome == "failed"
    assert "made-up data" in checks["lake-kind"].detail


async def test_rules_that_may_not_be_read(bucket: Bucket) -> None:
    """No run needs to read them: it is no fault of the policy."""
    bucket.proxy.rule = lambda request: denied("s3:GetLifecycle") if "lifecycle" in request.query else None
    checks = await bucket.checks()
    assert checks["lake-lifecycle"].outcome == "skipped"
    assert "s3:GetLifecycleConfiguration" in checks["lake-lifecycle"].detail


async def test_a_bucket_without_rules(bucket: Bucket) -> None:
    """Uploads of runs that were killed stay there, and are paid for."""
    checks = await bucket.checks()
    assert checks["lake-lifecycle"].outcome == "warning"
    assert "config s3-lifecycle.json" in checks["lake-lifecycle"].remedy


def test_what_rules_mean() -> None:
    """Those of other prefixes, of tags, and those that are off count for nothing."""
    on = {"Status": "Enabled"}
    abort = {**on, "Filter": {"Prefix": "ivs/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    assert is_ended([abort], "ivs")
    assert is_ended([abort], "ivs/deeper")
    assert not is_ended([abort], "other")
    assert not is_ended([{**abort, "Status": "Disabled"}], "ivs")
    assert not is_ended([{**abort, "Filter": {"And": {"Prefix": "ivs/", "Tags": []}}}], "ivs")
    expire = {**on, "ID": "old", "Filter": {"Prefix": "ivs/_log/"}, "Expiration": {"Days": 30}}
    archive = {**on, "ID": "cold", "Prefix": "", "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}
    markers = {**expire, "Expiration": {"ExpiredObjectDeleteMarker": True}}
    assert [fault.split("'")[1] for fault in faults_of_rules([expire, archive, markers], "ivs")] == ["old", "cold"]
    assert faults_of_rules([expire], "other") == []


def test_a_rule_for_sizes_removes_files_of_the_lake() -> None:
    """Every object has a size, so it counts; no object of the lake has a tag, and elsewhere it is of no lake's."""
    expire = {"Status": "Enabled", "ID": "large", "Expiration": {"Days": 30}}
    above = {"ObjectSizeGreaterThan": 1_000}
    for found in (above, {"And": {"Prefix": "ivs/", **above}}):
        assert len(faults_of_rules([{**expire, "Filter": found}], "ivs")) == 1, found
    for found in ({"And": {"Prefix": "logs/", **above}}, {"And": {"Tags": [{"Key": "a"}], **above}}):
        assert faults_of_rules([{**expire, "Filter": found}], "ivs") == [], found
    abort = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    assert not is_ended([{**abort, "Filter": above}], "ivs")
