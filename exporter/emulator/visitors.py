"""Who may ask the emulator: programs on this machine, and no web page that a browser on it has open. Pure.

A page anywhere can send a form's POST to a local port, and can point a name of its own at 127.0.0.1 (DNS rebinding). So
a request must name a host of this machine, and the emulator's own endpoints obey no request that a browser sends for
another site: it says so in ``Origin`` and ``Sec-Fetch-Site``. Without asking first it can send a body of three types
only, or of none (Fetch standard, "CORS-safelisted request-header"): those are refused whatever else is said.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_OWN_SITES = frozenset({"same-origin", "none"})
_TYPES_SENT_UNASKED = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


def is_own_host(host: str, bound_to: str) -> bool:
    """Whether a ``Host`` header names this machine: a loopback address, localhost, or what the server is bound to."""
    name = _name_of(host).lower()
    if name in {"localhost", bound_to.lower()} or name.endswith(".localhost"):
        return bool(name)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def refusal(scheme: str, headers: Mapping[str, str], *, has_body: bool) -> tuple[int, str] | None:
    """The status and message that refuse a request for the emulator's own endpoints; None where it is allowed.

    ``headers`` are looked up as HTTP does, whatever their case.
    """
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    if site not in _OWN_SITES or origin not in {None, f"{scheme}://{headers.get('Host', '')}"}:
        return 403, "a page of another site may not ask for this"
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if has_body and kind in _TYPES_SENT_UNASKED:
        return 415, "send it as Content-Type: application/json"
    return None


def _name_of(host: str) -> str:
    """The host without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
