"""What S3's errors mean for a lake, and what to do about them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError as HttpError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.aws.errors import EXPIRED_CODES, NO_CREDENTIALS, lost, message_of
from exporter.aws.http_dates import read_date_us
from exporter.aws.network import STATUS_PROXY_PASSWORD, STATUS_SERVER_ERROR
from exporter.aws.unanswered import cause_of, host_in, is_final
from exporter.errors import ExportError, LakeBusy, LakeError, LakeRefused
from exporter.lake.stores.s3.answers import NotOfS3
from exporter.lake.stores.s3.http import ANSWER_BYTES_MAX, TooLong
from exporter.text import one_line
from exporter.timestamps import MINUTE_US, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: An ingress says 404 while the server it leads to starts anew.
_STATUSES_PASSING = frozenset({200, 404, 408, 425, 429})
_SKEW_US_MAX = 5 * MINUTE_US
_SERVICE = "S3"


@dataclass(frozen=True, slots=True)
class S3Call:
    """A call of the client's ``method`` to ``host``, about a bucket and a key; ``now_us`` is this machine's time."""

    bucket: str
    method: str
    key: str
    host: str
    now_us: int

    @property
    def lake(self) -> str:
        """How errors begin."""
        return f"s3://{self.bucket}"

    @property
    def name(self) -> str:
        """The method, and the key that it was about."""
        return f"{self.method} {self.key}".rstrip()


class Missing(LakeError):
    """There is no such object, or no such upload."""


class Taken(LakeError):
    """The key of a conditional put is taken."""


class Expired(LakeRefused):
    """The credentials have expired, or can't be had. New ones may help."""


class Conflict(LakeError):
    """A conditional put met another one at the same time; S3 asks to try again."""


#: What a policy has to allow for each call. Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API
#: operations". Without s3:ListBucket, S3 answers 403 where it would answer 404.
_PERMISSIONS = {
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "list_multipart_uploads": "s3:ListBucketMultipartUploads",
    "put_object": "s3:PutObject",
    "get_object": "s3:GetObject and s3:ListBucket",
    "head_object": "s3:GetObject and s3:ListBucket",
    "list_objects_v2": "s3:ListBucket",
    "delete_object": "s3:DeleteObject",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
}

# Source: Amazon S3 API Reference, "Error responses". The answer to HEAD has no body, so its code is the bare status.
_MEANINGS: tuple[tuple[frozenset[str], type[LakeError], str], ...] = (
    (frozenset({"NoSuchBucket"}), LakeRefused, "there is no such bucket: make it, or mend `lake`"),
    (frozenset({"InvalidBucketName"}), LakeRefused, "that can't be a bucket's name: mend `lake`"),
    (
        frozenset({"NoSuchKey", "NoSuchUpload", "NoSuchLifecycleConfiguration", "NotFound", "404"}),
        Missing,
        "{key} is not there",
    ),
    # MinIO says so of a key that is taken with 304, as HTTP has it for GET alone (RFC 9110, section 13.1.2).
    (frozenset({"PreconditionFailed", "412", "NotModified", "304"}), Taken, "{key} is there already"),
    (
        frozenset({"ConditionalRequestConflict", "OperationAborted", "409"}),
        Conflict,
        "{key} is being written by another",
    ),
    (
        EXPIRED_CODES | {"TokenRefreshRequired"},
        Expired,
        "the AWS credentials have expired: get new ones, and run again",
    ),
    (
        frozenset({"400"}),
        Expired,
        "{method} {key} is refused for no reason, as with expired AWS credentials: get new ones, and run again",
    ),
    (
        frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure"}),
        LakeRefused,
        "the AWS credentials are not valid: set AWS_PROFILE, or mend them ({said})",
    ),
    (
        frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"}),
        LakeRefused,
        "no permission: allow {permission}, as `ivs-export config iam-policy.json` does ({said})",
    ),
    (
        frozenset(
            {
                "PermanentRedirect",
                "TemporaryRedirect",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraintException",
                "301",
                "302",
                "307",
            }
        ),
        LakeRefused,
        "the bucket is in another region: set AWS_REGION, or the profile's region, to {region}",
    ),
    (
        frozenset({"RequestTimeTooSkewed"}),
        LakeRefused,
        "this machine's clock is wrong: it says {own_time}, and S3's {their_time}: set it, and run again",
    ),
    (frozenset({"NotImplemented"}), LakeRefused, "this S3 can't do {method} as a lake needs it ({said})"),
    # Passing, though their status is 400. Source: botocore's data/_retry.json for the first three.
    (
        frozenset(
            {
                "RequestTimeout",
                "BadDigest",
                "Throttling",
                "IncompleteBody",
                "XAmzContentSHA256Mismatch",
                "SlowDown",
                "RequestLimitExceeded",
            }
        ),
        LakeBusy,
        "{name}: {said}; it may pass: run again",
    ),
)
_PASSING = (aws.HTTPClientError, aws.ConnectionError, aws.IncompleteReadError, ResponseParserError, HttpError, OSError)
_UNREACHED = (aws.HTTPClientError, aws.ConnectionError, TimeoutError)


def translated(error: Exception, call: S3Call) -> LakeError:
    """Make the lake's error of whatever a method of the client has raised: botocore, aiohttp, or what they stand on."""
    if isinstance(error, aws.ClientError):
        return _of_answer(error.response, call)
    if isinstance(error, NotOfS3):
        return _of_stranger(error, call)
    if isinstance(error, _PASSING):
        kind = LakeRefused if is_final(error) else LakeBusy
        return kind(
            f"{call.lake} does not answer ({host_in(error) or call.host}: {cause_of(error, _SERVICE)}; {call.name})"
        )
    if isinstance(error, LakeError):
        return error
    return LakeRefused(f"{call.lake}: {_final(error, call)}")


def _final(error: Exception, call: S3Call) -> str:
    if isinstance(error, TooLong):
        return f"{call.method} is answered{_by(call.host)} with more than {ANSWER_BYTES_MAX >> 20} MiB: that is no S3"
    if isinstance(error, aws.NoCredentialsError):
        return NO_CREDENTIALS
    return f"{call.name}: {message_of(error)}"


def without_credentials(error: Exception, call: S3Call) -> LakeError:
    """Make the lake's error of whatever a provider of credentials has raised."""
    if isinstance(error, aws.NoCredentialsError):
        return translated(error, call)
    is_fault = isinstance(error, aws.ClientError) and _status(error.response) >= STATUS_SERVER_ERROR
    if is_fault or (isinstance(error, _UNREACHED) and not is_final(error)):
        host = host_in(error)
        where = f" ({host}: {cause_of(error, _SERVICE)})" if host else f": {message_of(error)}"
        return LakeBusy(f"{call.lake}: no AWS credentials can be had now{where}")
    return Expired(f"{call.lake}: {error if isinstance(error, ExportError) else lost(error)}")


def _of_answer(answer: Mapping[str, Any], call: S3Call) -> LakeError:
    error, status = answer.get("Error", {}), _status(answer)
    code = str(error.get("Code", ""))
    said = one_line(f"{code or status}: {error.get('Message', '')}")
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    theirs_us = read_date_us(headers.get("date", ""))
    facts = {
        "name": call.name,
        "method": call.method,
        "key": call.key,
        "said": said,
        "permission": _PERMISSIONS.get(call.method, call.method),
        "region": one_line(headers.get("x-amz-bucket-region") or error.get("Region") or "it"),
        "own_time": one_line(error.get("RequestTime") or text_of(call.now_us)),
        "their_time": one_line(error.get("ServerTime") or (text_of(theirs_us) if theirs_us else "another time")),
    }
    for codes, kind, text in _MEANINGS:
        if code in codes:
            if kind is Missing and call.method.startswith("list_") and code != "NoSuchUpload":
                break
            return kind(f"{call.lake}: " + text.format(**facts) + _skew(code, theirs_us, call))
    is_passing = status >= STATUS_SERVER_ERROR or status in _STATUSES_PASSING
    if is_passing:
        return LakeBusy(f"{call.lake}: {call.name}: {said}; it may pass: run again")
    return LakeRefused(f"{call.lake}: {call.name}: {said}")


def _of_stranger(error: NotOfS3, call: S3Call) -> LakeError:
    """The error for an answer that is not S3's: of a proxy, a portal, an ingress; or half of S3's."""
    if error.status == STATUS_PROXY_PASSWORD:
        return LakeRefused(
            f"{call.lake}: the proxy before {call.host} asks for a password (407): set it in HTTPS_PROXY"
        )
    if error.wants_tls:
        return LakeRefused(f"{call.lake}: {call.host} speaks TLS alone: use https:// in AWS_ENDPOINT_URL_S3")
    is_passing = error.status >= STATUS_SERVER_ERROR or error.status in _STATUSES_PASSING
    message = f"{call.lake}: {call.name} is answered{_by(call.host)} with {error.said}, status {error.status}"
    if is_passing:
        return LakeBusy(message)
    return LakeRefused(f"{message}: a proxy, or AWS_ENDPOINT_URL_S3 names something else")


def _skew(code: str, theirs_us: int | None, call: S3Call) -> str:
    """What the clocks have to do with a refusal; nothing where they agree."""
    if code in {"RequestTimeTooSkewed", ""} or theirs_us is None:
        return ""
    if abs(theirs_us - call.now_us) <= _SKEW_US_MAX:
        return ""
    return f"; this machine's clock says {text_of(call.now_us)}, and S3's {text_of(theirs_us)}: set it"


def _status(answer: Mapping[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _by(host: str) -> str:
    return f" by {host}" if host else ""
