"""AWS Signature Version 4 of a POST with a JSON body. Pure: credentials and time are passed in.

botocore derives the signing key anew for every request, and prepares requests in a general way that costs more than all
else that a page takes. Here the key is kept as long as it is the same: for a day, or until the credentials change.
Source: AWS General Reference, "Create a signed AWS API request"; the tests compare with botocore's own signatures.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from exporter.aws.credentials import Keys


_ALGORITHM = "AWS4-HMAC-SHA256"
_CONTENT_TYPE = "application/json"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Signer:
    """Signs requests to one service in one region."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._key = b""
        self._key_of: tuple[str, str] | None = None  # the secret key and the date that it was derived from

    def headers(self, url: str, body: bytes, keys: Keys, at: str) -> dict[str, str]:
        """Sign a POST of ``body`` to ``url``, which has no query, at a time like 20261124T143000Z: its headers."""
        host, path = host_and_path(url)
        headers = {"Content-Type": _CONTENT_TYPE, "Host": host, "X-Amz-Date": at}
        if keys.token:
            headers["X-Amz-Security-Token"] = keys.token
        names = ";".join(headers).lower()
        lines = "".join(f"{name.lower()}:{' '.join(value.split())}\n" for name, value in headers.items())
        request = f"POST\n{path}\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = f"{at[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = digest(self._signing_key(keys.secret_key, at[:8]), text.encode(), "sha256").hex()
        headers["Authorization"] = (
            f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _signing_key(self, secret_key: str, date: str) -> bytes:
        if self._key_of != (secret_key, date):
            key = f"AWS4{secret_key}".encode()
            for part in (date, self._region, self._service, "aws4_request"):
                key = digest(key, part.encode(), "sha256")
            self._key, self._key_of = key, (secret_key, date)
        return self._key


@lru_cache(maxsize=16)
def host_and_path(url: str) -> tuple[str, str]:
    """Split a URL into host and path as signatures have them: no default port, and the path quoted once more."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port not in {None, _DEFAULT_PORTS.get(parts.scheme)}:
        host = f"{host}:{parts.port}"
    return host, quote(parts.path or "/", safe="/~")
