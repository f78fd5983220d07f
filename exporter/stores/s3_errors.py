"""What S3's errors mean for a lake, and what to do about them. Pure."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientError as HttpError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.errors import LakeBusy, LakeError, LakeRefused

_STATUS_SERVER_ERROR = 500
_STATUS_THROTTLED = 429
_LINE_LENGTH_MAX = 300


class Missing(LakeError):
    """There is no such object, or no such upload."""


class Taken(LakeError):
    """The key of a conditional put is taken."""


class Expired(LakeRefused):
    """The credentials have expired. New ones may help."""


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
}

# Source: Amazon S3 API Reference, "Error responses". The answer to HEAD has no body, so its code is the bare status.
_MEANINGS: tuple[tuple[frozenset[str], type[LakeError], str], ...] = (
    (frozenset({"NoSuchBucket"}), LakeRefused, "there is no such bucket: make it, or mend `lake`"),
    (frozenset({"InvalidBucketName"}), LakeRefused, "that can't be a bucket's name: mend `lake`"),
    (frozenset({"NoSuchKey", "NoSuchUpload", "NotFound", "404"}), Missing, "{key} is not there"),
    (frozenset({"PreconditionFailed", "412"}), Taken, "{key} is there already"),
    (
        frozenset({"ConditionalRequestConflict", "OperationAborted", "409"}),
        Conflict,
        "{key} is being written by another",
    ),
    (
        frozenset({"ExpiredToken", "TokenRefreshRequired"}),
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
        "no permission: allow {permission}, as config/iam-policy.json does ({said})",
    ),
    (
        frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}),
        LakeRefused,
        "the bucket is in another region: set AWS_REGION, or the profile's region, to it",
    ),
    (frozenset({"RequestTimeTooSkewed"}), LakeRefused, "this machine's clock is wrong: set it, and run again"),
    (frozenset({"NotImplemented"}), LakeRefused, "this S3 can't do {method} as a lake needs it ({said})"),
    (frozenset({"SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeout"}), LakeBusy, "{method}: {said}"),
)
_NO_CREDENTIALS = (
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.ProfileNotFound,
    aws.ConfigParseError,
    RuntimeError,  # botocore's own, where a provider gives keys that have expired already
)
_PASSING = (aws.HTTPClientError, aws.ConnectionError, aws.IncompleteReadError, ResponseParserError, HttpError, OSError)


def translated(error: Exception, bucket: str, method: str, key: str) -> LakeError:
    """The lake's error for one of botocore's or the network's, raised by a method of the client."""
    lake = f"s3://{bucket}"
    if isinstance(error, aws.ClientError):
        return _of_answer(error.response, lake, method, key)
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return LakeRefused(f"{lake}: no AWS credentials were found: set AWS_PROFILE, or run where a role gives them")
    if isinstance(error, _NO_CREDENTIALS):
        return LakeRefused(f"{lake}: the AWS credentials can't be used: {_line(error)}")
    if isinstance(error, _PASSING):
        return LakeBusy(f"{lake} does not answer ({type(error).__name__} at {method} {key})".replace(" )", ")"))
    if isinstance(error, aws.BotoCoreError):
        return LakeRefused(f"{lake}: {method}: {_line(error)}")
    # botocore's ValueError for a bad endpoint says the whole of it, with the password that may stand in it.
    return LakeRefused(f"{lake}: AWS_ENDPOINT_URL_S3, or the profile's endpoint_url, is no URL")


def _of_answer(answer: Any, lake: str, method: str, key: str) -> LakeError:  # noqa: ANN401 - botocore has no types
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = _line(f"{code or status}: {answer.get('Error', {}).get('Message', '')}")
    for codes, kind, text in _MEANINGS:
        if code in codes:
            permission = _PERMISSIONS.get(method, method)
            return kind(f"{lake}: " + text.format(method=method, key=key, said=said, permission=permission))
    is_passing = status >= _STATUS_SERVER_ERROR or status == _STATUS_THROTTLED
    return (LakeBusy if is_passing else LakeRefused)(f"{lake}: {method} {key}: {said}")


def _line(text: object) -> str:
    return " ".join(str(text).split())[:_LINE_LENGTH_MAX]
