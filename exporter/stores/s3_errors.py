"""What S3's errors mean for a lake. Pure."""

from __future__ import annotations

from typing import Any

from botocore import exceptions as aws

from exporter.errors import LakeBusy, LakeError, LakeRefused

_STATUS_SERVER_ERROR = 500
_STATUS_THROTTLED = 429


class Missing(LakeError):
    """There is no such object, or no such upload."""


class Taken(LakeError):
    """The key of a conditional put is taken."""


class Conflict(LakeError):
    """A conditional put met another one at the same time; S3 asks to try again."""


# Source: Amazon S3 API Reference, "Error responses". HEAD answers carry no body, so their code is the bare status.
_MEANINGS: tuple[tuple[frozenset[str], type[LakeError], str], ...] = (
    (frozenset({"NoSuchBucket"}), LakeRefused, "there is no such bucket: make it, or mend `lake`"),
    (frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"}), Missing, "{what} is not there"),
    (frozenset({"PreconditionFailed", "412"}), Taken, "{what} is there already"),
    (frozenset({"ConditionalRequestConflict", "409"}), Conflict, "{what} is being written by another"),
    (
        frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}),
        LakeRefused,
        "the AWS credentials are not valid ({said})",
    ),
    (
        frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}),
        LakeRefused,
        "no permission for {what}: compare the role with config/iam-policy.json ({said})",
    ),
    (
        frozenset({"PermanentRedirect", "301", "AuthorizationHeaderMalformed"}),
        LakeRefused,
        "the bucket is in another region: set AWS_REGION, or the profile's region, to it",
    ),
    (frozenset({"SlowDown", "Throttling", "RequestTimeout", "RequestTimeTooSkewed"}), LakeBusy, "{what}: {said}"),
)


def translated(error: Exception, bucket: str, what: str) -> LakeError:
    """The lake's error for one of botocore's or the network's. ``what`` names the object or the call."""
    lake = f"s3://{bucket}"
    if isinstance(error, aws.ClientError):
        return _of_answer(error.response, lake, what)
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return LakeRefused(f"{lake}: no AWS credentials were found: set AWS_PROFILE, or run where a role gives them")
    if isinstance(error, (aws.CredentialRetrievalError, aws.TokenRetrievalError, aws.SSOError, aws.ProfileNotFound)):
        return LakeRefused(f"{lake}: the AWS credentials can't be used: {error}")
    if isinstance(error, (aws.ParamValidationError, ValueError)):
        return LakeRefused(f"{lake}: {_line(str(error))}")
    return LakeBusy(f"{lake} does not answer ({type(error).__name__} at {what})")


def _of_answer(answer: Any, lake: str, what: str) -> LakeError:  # noqa: ANN401 - botocore has no types
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = _line(f"{code or status}: {answer.get('Error', {}).get('Message', '')}")
    for codes, kind, text in _MEANINGS:
        if code in codes:
            return kind(f"{lake}: " + text.format(what=what, said=said))
    is_passing = status >= _STATUS_SERVER_ERROR or status == _STATUS_THROTTLED
    return (LakeBusy if is_passing else LakeRefused)(f"{lake}: {what}: {said}")


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
