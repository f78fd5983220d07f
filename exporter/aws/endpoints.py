"""The endpoints that AWS's own variables and profile name, checked before botocore takes them.

botocore takes whatever is a URL of some kind, and its error for a wrong one repeats it whole, with the password that
may stand in it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from exporter.errors import UsageError
from exporter.text import one_line

_SCHEMES = ("http", "https")


def check_endpoint_settings(service: str) -> None:
    """Check the variable that names the endpoint of a service, under its name there, or of all services.

    Raises :class:`UsageError`.
    """
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return
    for variable in (f"AWS_ENDPOINT_URL_{service}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            check_endpoint(url, variable)
            return


def check_endpoint(url: str, source: str) -> None:
    """Raise :class:`UsageError` where a URL is no endpoint, naming its ``source``.

    What stands before an @ or after a ? or # may be a secret, and is not shown.
    """
    if fault := _fault_of(url):
        shown = one_line(re.split("[?#]", url.rpartition("@")[2])[0])
        raise UsageError(f"{source} {fault}: {shown!r}; write it as https://host or http://host:port")


def _fault_of(url: str) -> str:
    """What is wrong with a URL as an endpoint; "" where nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL, or has no port from 1 to 65535"
    faults = (
        (not url.isascii() or not url.isprintable() or " " in url, "holds a character that no URL has"),
        ("://" not in url, "has no http:// or https:// before its host"),
        (parts.scheme not in _SCHEMES, "should begin with http:// or https://"),
        (not parts.hostname or port == 0, "names no host, or no port from 1 to 65535"),
        ("@" in parts.netloc, "holds a user or password, which no endpoint of AWS takes"),
        (bool(parts.query or parts.fragment), "should end with its path, without ? and #"),
    )
    return next((fault for is_so, fault in faults if is_so), "")
