"""What is raised where Glue is called, as errors of a catalog's. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import ClientError as HttpError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.aws.errors import EXPIRED_CODES, NO_CREDENTIALS, message_of
from exporter.aws.network import STATUS_SERVER_ERROR
from exporter.aws.unanswered import cause_of, host_in, is_final
from exporter.catalog.errors import CatalogError
from exporter.catalog.remedies import INVALID_KEYS
from exporter.errors import CredentialsLost, ExportError
from exporter.lake.stores.s3.http import ANSWER_BYTES_MAX, TooLong
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAKE_FORMATION = "Lake Formation"
_STATUS_TOO_MANY = 429
# Source: Glue API Reference, "Exceptions"; AWS General Reference, "Common error types".
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_PASSING = frozenset(
    {
        "InternalServiceException",
        "OperationTimeoutException",
        "RequestLimitExceeded",
        "ResourceNotReadyException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_UNANSWERED = (aws.HTTPClientError, aws.ConnectionError, ResponseParserError, HttpError, OSError)


class GlueBusy(CatalogError):
    """A passing fault: a time-out, a 5xx, a throttle, a race that is not settled in time."""

    kind = "catalog_busy"


class GlueRefused(CatalogError):
    """Glue refuses for good, for a permission that is missing, say; or what answers is not Glue."""

    kind = "catalog_refused"


class GlueDenied(GlueRefused):
    """A permission is missing."""


class NotInGlue(CatalogError):
    """Glue has no such table, or no such database."""


class GlueChanged(GlueBusy):
    """Somebody else has made or changed the same thing at the same time: look again."""


_MEANINGS: Mapping[str, type[CatalogError]] = {
    "EntityNotFoundException": NotInGlue,
    "AlreadyExistsException": GlueChanged,
    "ConcurrentModificationException": GlueChanged,
}


def translated(error: Exception, method: str, host: str) -> ExportError:
    """Make the exporter's error of whatever a method of Glue's client has raised: botocore, or what that stands on."""
    if isinstance(error, ExportError):
        return error
    if isinstance(error, aws.ClientError):
        return _of_answer(error.response, method, host)
    if isinstance(error, aws.NoCredentialsError):
        return CredentialsLost(NO_CREDENTIALS)
    if isinstance(error, _UNANSWERED):
        kind = GlueRefused if is_final(error) else GlueBusy
        return kind(f"glue does not answer ({host_in(error) or host}: {cause_of(error, 'GLUE')}; {method})")
    if isinstance(error, TooLong):
        size = f"more than {ANSWER_BYTES_MAX >> 20} MiB"
        return GlueRefused(f"glue: {method} is answered by {host} with {size}: that is not Glue")
    return GlueRefused(f"glue: {method}: {message_of(error)}")


def _of_answer(answer: Mapping[str, Any], method: str, host: str) -> ExportError:
    error = answer.get("Error", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(error.get("Code", ""))
    is_passing = code in _PASSING or status >= STATUS_SERVER_ERROR or status == _STATUS_TOO_MANY
    kind = GlueBusy if is_passing else GlueRefused
    if not code or code.isdecimal():
        by = f"glue: {method} is answered by {host} with status {status}, and no error of Glue's"
        return kind(by if is_passing else f"{by}: a proxy, or AWS_ENDPOINT_URL_GLUE is wrong")
    said = one_line(f"{code}: {error.get('Message', '')}")
    if code in EXPIRED_CODES | INVALID_KEYS:
        return CredentialsLost(f"glue refuses the AWS credentials: {said}", is_expired=code in EXPIRED_CODES)
    if code in _DENIED:
        return GlueDenied(f"glue: no permission: {_remedy(method, said)} ({said})")
    return _MEANINGS.get(code, kind)(f"glue: {method}: {said}")


def _remedy(method: str, said: str) -> str:
    """What allows a call. Lake Formation refuses what a policy allows, where it governs the database."""
    if _LAKE_FORMATION in said:
        return "grant it in Lake Formation, which governs this database"
    action = "".join(word.capitalize() for word in method.split("_"))
    also = ", or make the database yourself" if method == "create_database" else ""
    return f"allow glue:{action}, as `ivs-export config glue-policy.json` does{also}"
