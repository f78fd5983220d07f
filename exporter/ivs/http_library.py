"""aiohttp, imported without the system's certificates.

At its import aiohttp reads them for connections that name none, which takes a fifth of its 100 ms. All connections
here name those that every AWS tool would use (`http.py`), as aiobotocore's do; one that names none trusts nobody.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where OpenSSL looks for certificates, in place of the system's. Source: OpenSSL, "SSL_CTX_load_verify_locations".
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def _without_certificates() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ |= dict.fromkeys(_VARIABLES, os.devnull)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _without_certificates():
    import aiohttp

__all__ = ["aiohttp"]
