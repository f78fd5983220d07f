"""What S3 answers and what botocore raises, as errors of the lake."""

from __future__ import annotations

import aiohttp
import pytest
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.errors import LakeBusy, LakeError, LakeRefused
from exporter.stores.s3_errors import Conflict, Expired, Missing, Taken, translated


def answered(status: int, code: str, message: str = "it said\n\tso") -> aws.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(answer, "PutObject")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (answered(404, "NoSuchBucket"), LakeRefused, "make it, or mend `lake`"),
        (answered(404, "NoSuchKey"), Missing, "x is not there"),
        (answered(404, "NoSuchUpload"), Missing, "x is not there"),
        (answered(404, "404"), Missing, "x is not there"),
        (answered(412, "PreconditionFailed"), Taken, "x is there already"),
        (answered(409, "ConditionalRequestConflict"), Conflict, "x is being written by another"),
        (answered(400, "ExpiredToken"), Expired, "have expired: get new ones"),
        (answered(400, "400", "Bad Request"), Expired, "as with expired AWS credentials: get new ones"),
        (answered(403, "InvalidAccessKeyId"), LakeRefused, "not valid: set AWS_PROFILE"),
        (answered(403, "SignatureDoesNotMatch"), LakeRefused, "not valid: set AWS_PROFILE"),
        (answered(403, "AccessDenied"), LakeRefused, "allow s3:GetObject and s3:ListBucket, as"),
        (answered(403, "403", "Forbidden"), LakeRefused, "allow s3:GetObject and s3:ListBucket, as"),
        (answered(301, "PermanentRedirect"), LakeRefused, "in another region: set AWS_REGION"),
        (answered(301, "301"), LakeRefused, "in another region: set AWS_REGION"),
        (answered(400, "AuthorizationHeaderMalformed"), LakeRefused, "in another region: set AWS_REGION"),
        (answered(403, "RequestTimeTooSkewed"), LakeRefused, "clock is wrong"),
        (answered(501, "NotImplemented"), LakeRefused, "this S3 can't do head_object"),
        (answered(400, "KMS.DisabledException"), LakeRefused, "KMS.DisabledException: it said so"),
        (answered(503, "SlowDown"), LakeBusy, "SlowDown"),
        (answered(400, "RequestTimeout"), LakeBusy, "RequestTimeout"),
        (answered(429, "TooManyRequests"), LakeBusy, "TooManyRequests"),
        (answered(500, "InternalError"), LakeBusy, "InternalError"),
        (answered(502, ""), LakeBusy, "502"),
        (answered(418, "Teapot"), LakeRefused, "Teapot"),
        (aws.ClientError({}, "HeadObject"), LakeRefused, "head_object x"),
        (aws.NoCredentialsError(), LakeRefused, "no AWS credentials were found"),
        (aws.CredentialRetrievalError(provider="x", error_msg="no"), LakeRefused, "can't be used"),
        (aws.ConfigParseError(path="x"), LakeRefused, "can't be used"),
        (RuntimeError("Credentials were refreshed, but are still expired."), LakeRefused, "can't be used"),
        (aws.ConnectTimeoutError(endpoint_url="http://u:p@x"), LakeBusy, "does not answer"),
        (aws.EndpointConnectionError(endpoint_url="http://u:p@x"), LakeBusy, "does not answer"),
        (aws.ReadTimeoutError(endpoint_url="http://u:p@x"), LakeBusy, "does not answer"),
        (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), LakeBusy, "does not answer"),
        (aws.ResponseStreamingError(error="x"), LakeBusy, "does not answer"),
        (aiohttp.ClientPayloadError(), LakeBusy, "does not answer"),
        (ResponseParserError("x"), LakeBusy, "does not answer"),
        (ConnectionResetError(), LakeBusy, "does not answer"),
        (TimeoutError(), LakeBusy, "does not answer"),
        (aws.ParamValidationError(report="no\nsuch"), LakeRefused, "no such"),
        (aws.NoRegionError(), LakeRefused, "region"),
        (ValueError("Invalid endpoint: http://u:p@x"), LakeRefused, "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_each_error_has_a_meaning(error: Exception, kind: type[LakeError], said: str) -> None:
    """Each error becomes passing, final, or a fact, in one line that names the lake and shows no password."""
    found = translated(error, "my-bucket", "head_object", "x")
    assert type(found) is kind
    assert said in str(found)
    assert str(found).startswith("s3://my-bucket")
    assert "\n" not in str(found)
    assert "u:p@" not in str(found)
