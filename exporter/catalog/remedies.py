"""What a catalog's libraries mean by what they raise, and what to do about it. Pure.

Nothing of theirs is imported: an error is known by its class's name, or by its text.
"""

from __future__ import annotations

import re
import socket
import ssl
from itertools import chain
from typing import Any

from exporter.aws.errors import EXPIRED_CODES
from exporter.aws.network import causes_of, distrust_of, host_of, speaks_no_tls, system_cause

#: What is said of an error that is not known better.
AGAIN = "the next run, or `ivs-export publish`, tries again"
_URI = "mend uri in catalog.properties"
_NAMES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("UnauthorizedError", "AuthorizationExpiredError", "OAuthError"),
        "mend credential or token in catalog.properties",
    ),
    (("ForbiddenError",), "allow it there to whom credential, token or the AWS keys name"),
    (
        ("ArgumentError", "InvalidURL", "MissingSchema", "InvalidSchema", "NoSuchModuleError"),
        f"{_URI}: docs/catalogs.md shows its form",
    ),
    (("ModuleNotFoundError", "ImportError", "NotInstalledError"), "install what is named"),
)
_TEXTS = (
    ("unable to open database file", f"make the folder of its file, or {_URI}"),
    ("file is not a database", _URI),
    ("attempt to write a readonly database", "let the user who runs this write to its file and to the file's folder"),
    ("database is locked", "another program holds its file: end that, and run `ivs-export publish`"),
)
# Source: AWS General Reference, "Common error types".
INVALID_KEYS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationToken"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_HTML = re.compile(r"<(?:!doctype|html)\b", re.IGNORECASE)
_TRUST = "set REQUESTS_CA_BUNDLE (of Glue: AWS_CA_BUNDLE) to the right one"
_NOT_REACHED = f"{_URI} (of Glue: AWS_ENDPOINT_URL_GLUE), or look at the way there"


def meaning_of(error: Exception) -> tuple[str, str]:
    """What an error says, shortly, and what to do about it."""
    text = str(getattr(error, "orig", None) or error)  # SQLAlchemy shows the whole statement beside its cause
    if (cause := _cause_of_silence(error)) is not None:
        return cause, _TRUST if "is not trusted" in cause else _NOT_REACHED
    if (remedy := _remedy_of(error, text)) is not None:
        return text, remedy
    if _HTML.search(text) or "JSONDecodeError" in type(error).__name__:
        return "it answers with something that is no catalog's", _NOT_REACHED
    return text, AGAIN


def _remedy_of(error: Exception, text: str) -> str | None:
    code = _code_of(error)
    if code in EXPIRED_CODES | INVALID_KEYS:
        return "name other AWS keys, or get new ones"
    if code in _DENIED:
        return f"allow glue:{getattr(error, 'operation_name', 'this')}, as config/glue-policy.json does"
    by_name = (remedy for names, remedy in _NAMES if type(error).__name__ in names)
    by_text = (remedy for part, remedy in _TEXTS if part in text)
    return next(chain(by_name, by_text), None)


def _code_of(error: Exception) -> str:
    """The code of botocore's error; "" of any other."""
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _cause_of_silence(error: Exception) -> str | None:
    """Why there was no connection, with its host; None where there was one."""
    for below in causes_of(error):
        if (cause := _said_by(below)) is not None:
            where = _host_in(error)
            return f"{where}: {cause}" if where else cause
    return None


def _said_by(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({distrust_of(error)})"
    if speaks_no_tls(error):
        return "what listens there speaks no TLS"
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    if isinstance(error, ConnectionError) and error.errno is not None:
        return system_cause(error.errno)
    return None


def _host_in(error: Exception) -> str:
    """The host that was asked, where requests or botocore name it."""
    details = getattr(error, "kwargs", None)
    url = getattr(getattr(error, "request", None), "url", None) or (
        details.get("endpoint_url") if isinstance(details, dict) else None
    )
    return host_of(url) if isinstance(url, str) else ""
