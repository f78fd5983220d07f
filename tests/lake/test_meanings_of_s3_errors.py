"""What S3 answers and what botocore raises, as errors of the lake."""

from __future__ import annotations

import errno
import socket
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.errors import CredentialsLost, LakeBusy, LakeError, LakeRefused
from exporter.lake.stores.s3.answers import NotOfS3
from exporter.lake.stores.s3.errors import Conflict, Expired, Missing, S3Call, Taken, translated, without_credentials
from exporter.lake.stores.s3.http import TooLong

#: 2026-11-23T12:00:00Z
NOW_US = 1_795_435_200_000_000
HEAD = S3Call("my-bucket", "head_object", "x", "s3.test", NOW_US)
KEY = ConnectionKey("x", 443, True, True, None, None, None)  # noqa: FBT003 - aiohttp's own


def answered(status: int, code: str, message: str = "it said\n\tso") -> aws.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return aws.ClientError(answer, "PutObject")


def refused() -> Exception:
    return aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"))


def unknown_name() -> Exception:
    return aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "Name or service not known"))


def untrusted() -> Exception:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error: Exception = aws.SSLError(endpoint_url="https://x", error=aiohttp.ClientConnectorCertificateError(KEY, cause))
    return error


def without_tls(reason: str) -> Exception:
    cause = ssl.SSLError(1, f"[SSL: {reason}]")
    cause.reason = reason
    error: Exception = aws.SSLError(endpoint_url="https://x:9", error=aiohttp.ClientConnectorSSLError(KEY, cause))
    return error


def alert() -> Exception:
    said = aiohttp.ClientResponseError(SimpleNamespace(real_url="http://x"), (), message="b'\\x15\\x03\\x01\\x00'")  # type: ignore[arg-type] # all that it reads
    error: Exception = aws.HTTPClientError(error=said)
    return error


def proxy_says(status: int) -> Exception:
    said = aiohttp.ClientHttpProxyError(SimpleNamespace(real_url="http://x"), (), status=status)  # type: ignore[arg-type] # all that it reads
    error: Exception = aws.ProxyConnectionError(proxy_url="http://***:***@p:3128", error=said)
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (answered(404, "NoSuchBucket"), LakeRefused, "make it, or mend `lake`"),
        (answered(404, "NoSuchKey"), Missing, "x is not there"),
        (answered(404, "NoSuchUpload"), Missing, "x is not there"),
        (answered(404, "404"), Missing, "x is not there"),
        (answered(412, "PreconditionFailed"), Taken, "x is there already"),
        (answered(304, "304"), Taken, "x is there already"),
        (answered(307, "TemporaryRedirect"), LakeRefused, "in another region: set AWS_REGION"),
        (answered(400, "BadDigest"), LakeBusy, "BadDigest"),
        (answered(400, "IncompleteBody"), LakeBusy, "IncompleteBody"),
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
        (
            RuntimeError("something\nthat nobody\x1bhas thought of"),
            LakeRefused,
            "something that nobody?has",
        ),
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
        (ValueError("Invalid endpoint: http://u:p@x"), LakeRefused, "Invalid endpoint: http://***@x"),
        (TooLong(), LakeRefused, "head_object is answered by s3.test with more than 64 MiB"),
    ],
)
def test_each_error_has_a_meaning(error: Exception, kind: type[LakeError], said: str) -> None:
    """Each error becomes passing, final, or a fact, in one line that names the lake and shows no password."""
    found = translated(error, HEAD)
    assert type(found) is kind
    assert said in str(found)
    assert str(found).startswith("s3://my-bucket")
    assert str(found).isprintable()
    assert "u:p@" not in str(found)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            aws.EndpointConnectionError(endpoint_url="http://x:9", error=refused()),
            "x:9: connection refused: nothing listens; head_ob",
        ),
        (
            aws.EndpointConnectionError(endpoint_url="http://x:9", error=unknown_name()),
            "x:9: the name does not resolve",
        ),
        (aws.ConnectTimeoutError(endpoint_url="https://x"), "(x:443: no connection in time"),
        (aws.ReadTimeoutError(endpoint_url="https://x"), "(x:443: nothing came in time"),
        (aws.ConnectionClosedError(endpoint_url="https://x"), "(x:443: the connection broke off"),
        (TimeoutError(), "(s3.test: nothing came in time"),
        (
            aws.ProxyConnectionError(proxy_url="http://u:p@p:3128", error=refused()),
            "(p:3128: the proxy: connection ref",
        ),
        (proxy_says(407), "(p:3128: the proxy refuses to connect, status 407: set the password in HTTPS_PROXY"),
        (proxy_says(403), "(p:3128: the proxy refuses to connect, status 403;"),
        (untrusted(), "(x:443: its certificate is not trusted (self-signed certificate): set AWS_CA_BUNDLE"),
        (
            without_tls("WRONG_VERSION_NUMBER"),
            "x:9: what listens there speaks no TLS: use http:// in AWS_ENDPOINT_URL_S3",
        ),
        (alert(), "s3.test: it speaks TLS alone: use https:// in AWS_ENDPOINT_URL_S3"),
        (aws.HTTPClientError(error=KeyError("u")), "s3.test: KeyError 'u'"),
    ],
)
def test_what_goes_wrong_on_the_way_names_the_host_and_the_cause(error: Exception, said: str) -> None:
    """The message says whom to ask and what to set; what can't pass by itself is final."""
    found = translated(error, HEAD)
    assert said in str(found)
    assert str(found).startswith("s3://my-bucket does not answer (")
    is_final = any(words in said for words in ("not trusted", "status 40", "TLS"))
    assert type(found) is (LakeRefused if is_final else LakeBusy)
    assert "u:p@" not in str(found)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (200, LakeBusy, "is answered by s3.test with a page, status 200"),
        (404, LakeBusy, "status 404"),
        (502, LakeBusy, "status 502"),
        (403, LakeRefused, "status 403: a proxy, or AWS_ENDPOINT_URL_S3 names something else"),
        (407, LakeRefused, "the proxy before s3.test asks for a password (407): set it in HTTPS_PROXY"),
    ],
)
def test_what_is_not_s3s_is_no_answer(status: int, kind: type[LakeError], said: str) -> None:
    """A page of something between passes or is final by its status, and is never S3's own refusal."""
    found = translated(NotOfS3("a page", status), HEAD)
    assert (type(found), said in str(found)) == (kind, True)


def test_a_wrong_clock_is_told_with_both_times() -> None:
    """Whatever S3 says of it: its own error, or any other of a request whose time is far from the answer's."""
    said = {"Code": "RequestTimeTooSkewed", "RequestTime": "20261123T120000Z", "ServerTime": "2026-11-23T13:00:00Z"}
    found = translated(aws.ClientError({"Error": said}, "PutObject"), HEAD)
    assert "it says 20261123T120000Z, and S3's 2026-11-23T13:00:00Z: set it" in str(found)
    headers = {"HTTPStatusCode": 403, "HTTPHeaders": {"date": "Mon, 23 Nov 2026 13:00:00 GMT"}}
    for code, is_told in (("RequestTimeTooSkewed", True), ("SignatureDoesNotMatch", True)):
        found = translated(aws.ClientError({"Error": {"Code": code}, "ResponseMetadata": headers}, "PutObject"), HEAD)
        assert ("2026-11-23T12:00:00" in str(found) and "2026-11-23T13:00:00" in str(found)) is is_told
    near = {"HTTPStatusCode": 403, "HTTPHeaders": {"date": "Mon, 23 Nov 2026 12:00:09 GMT"}}
    found = translated(
        aws.ClientError({"Error": {"Code": "SignatureDoesNotMatch"}, "ResponseMetadata": near}, "PutObject"), HEAD
    )
    assert "clock" not in str(found)


@pytest.mark.parametrize(
    "date", ["", "never", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 99 Foo 2026 x"]
)
def test_a_date_that_no_clock_shows_is_passed_over(date: str) -> None:
    """Telling an error raises none."""
    answer = {"HTTPStatusCode": 403, "HTTPHeaders": {"date": date}}
    for code in ("RequestTimeTooSkewed", "SignatureDoesNotMatch", "Teapot"):
        error = aws.ClientError({"Error": {"Code": code}, "ResponseMetadata": answer}, "PutObject")
        assert type(translated(error, HEAD)) is LakeRefused


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (CredentialsLost("the login is over"), Expired, "s3://my-bucket: the login is over"),
        (KeyError("AccessKeyId"), Expired, "can be used: KeyError: 'AccessKeyId'"),
        (ValueError("Expecting value: line 1"), Expired, "can be used: ValueError: Expecting value: line 1"),
        (FileNotFoundError(2, "No such file", "/token"), Expired, "/token"),
        (aws.CredentialRetrievalError(provider="x", error_msg="no"), Expired, "can be used: Error when retrieving"),
        (answered(403, "AccessDenied"), Expired, "can be used: An error occurred (AccessDenied)"),
        (answered(503, "ServiceUnavailable"), LakeBusy, "can be had now"),
        (aws.ConnectTimeoutError(endpoint_url="http://u:p@x"), LakeBusy, "can be had now (x:80: no connection in time"),
        (TimeoutError(), LakeBusy, "can be had now"),
        (aws.NoCredentialsError(), LakeRefused, "no AWS credentials were found"),
    ],
)
def test_whatever_a_provider_of_credentials_raises_is_told_as_that(
    error: Exception, kind: type[LakeError], said: str
) -> None:
    """Providers run programs and read files, and raise what comes of it; it is never taken for S3's refusal."""
    found = without_credentials(error, HEAD)
    assert (type(found), said in str(found)) == (kind, True), found
    assert str(found).startswith("s3://my-bucket: ")
    assert str(found).isprintable()
