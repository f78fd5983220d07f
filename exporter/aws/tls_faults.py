"""Whether an endpoint is spoken to as it speaks: TLS where it takes none, or plain HTTP where it takes TLS alone. Pure.

No other try changes either: the endpoint's scheme is wrong.
"""

from __future__ import annotations

import re
import ssl

# What OpenSSL says of a first answer that is no TLS. Source: OpenSSL's `include/openssl/sslerr.h`.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})
# What nginx, Go's servers, Apache, HAProxy and Python's say to plain HTTP at a port of TLS's; all with status 400.
_WANTS_TLS = re.compile(
    rb"plain HTTP request (?:was|is being) sent to (?:an )?HTTPS|HTTP request to an HTTPS server"
    rb"|speaking plain HTTP to an SSL|requires TLS\b",
    re.IGNORECASE,
)
# An alert of TLS's (type 21, version 3.x) in place of HTTP, as bytes or as aiohttp shows them.
_ALERT = re.compile(r"\x15\x03[\x00-\x04]|\\x15\\x03\\x0[0-4]")
_BAD_REQUEST = 400


def speaks_no_tls(error: BaseException | None) -> bool:
    """Whether TLS failed since what listens does not speak it."""
    return isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _NO_TLS  # aiohttp's own have none


def is_alert(error: BaseException) -> bool:
    """Whether what was read as HTTP is TLS's word for a request that is none of its own."""
    return _ALERT.search(str(getattr(error, "message", ""))) is not None


def wants_tls(status: int, body: bytes) -> bool:
    """Whether an answer to plain HTTP says that its port takes TLS alone."""
    return status == _BAD_REQUEST and _WANTS_TLS.search(body) is not None
