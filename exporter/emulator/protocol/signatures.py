"""AWS's Signature Version 4, checked as the service does.

Source: AWS Identity and Access Management User Guide, "Create a signed AWS API request". Only signatures in the
``Authorization`` header are read, which is what the SDKs send to this service.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

from exporter.emulator.cache import BoundedCache
from exporter.emulator.protocol.errors import Refusal
from exporter.model import Scope, is_region

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.emulator.options import Account

#: The signing name of IVS Real-Time in botocore's model.
IVS = "ivs"
_SKEW_S_MAX = 300.0
# Of some hundred scopes, each with a new key every hour.
_SIGNING_KEYS_MAX = 4_096
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<day>[0-9]{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;_-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class SignedCall:
    """What of a request is signed. ``path`` is percent-encoded; ``headers`` looks names up without regard to case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class SignatureChecker:
    """Checks signatures against the accounts' keys, and finds the scope of a signed call.

    ``temporary`` looks up the keys that a session token stands for; None where it is no such token. ``wall_s`` is real
    time.
    """

    def __init__(
        self,
        accounts: tuple[Account, ...],
        temporary: Callable[[str], Account | None],
        wall_s: Callable[[], float],
    ) -> None:
        self._accounts = {account.access_key: account for account in accounts}
        self._temporary = temporary
        self._wall_s = wall_s
        self._keys: BoundedCache[bytes] = BoundedCache(cost_max=_SIGNING_KEYS_MAX)

    def check(self, call: SignedCall, service: str = IVS) -> Scope:
        """The account and region of a call to a service. Raises :class:`Refusal` where it is not signed well."""
        text = call.headers.get("Authorization")
        if text is None:
            raise Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        parts = _AUTHORIZATION.fullmatch(text)
        if parts is None:
            raise Refusal(403, "IncompleteSignatureException", "Authorization header is not of the form of AWS4")
        account = self._accounts.get(parts["key"]) or self._temporary(call.headers.get("X-Amz-Security-Token", ""))
        if account is None or account.access_key != parts["key"]:
            raise _unrecognized()
        _check_service(parts, service)
        self._check_time(parts, call)
        expected = self._signature(account, parts, call)
        if not hmac.compare_digest(expected, parts["signature"]):
            raise _mismatch(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
                " Access Key and signing method."
            )
        self._check_token(account, call)
        return Scope(account.account_id, parts["region"])

    def _check_time(self, parts: re.Match[str], call: SignedCall) -> None:
        stamp = call.headers.get("X-Amz-Date", "")
        try:
            signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise Refusal(403, "IncompleteSignatureException", "X-Amz-Date is missing or is no date") from None
        if not {"host", "x-amz-date"} <= set(parts["headers"].split(";")):
            raise _mismatch("'Host' and 'X-Amz-Date' must be signed headers.")
        if parts["day"] != stamp[:8]:
            raise _mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.")
        if abs(signed.timestamp() - self._wall_s()) > _SKEW_S_MAX:
            raise _mismatch("Signature expired or not yet current: the clocks differ by more than five minutes.")

    def _signature(self, account: Account, parts: re.Match[str], call: SignedCall) -> str:
        names = parts["headers"].split(";")
        headers = "".join(f"{name}:{' '.join(call.headers.get(name, '').split())}\n" for name in names)
        canonical = "\n".join(
            (
                call.method,
                quote(call.path, safe="/-_.~"),
                _canonical_query(call.query),
                headers,
                parts["headers"],
                sha256(call.body).hexdigest(),
            )
        )
        scope = f"{parts['day']}/{parts['region']}/{parts['service']}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{call.headers['X-Amz-Date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        key = self._signing_key(account, parts["day"], parts["region"], parts["service"])
        return hmac.digest(key, to_sign.encode(), "sha256").hex()

    def _signing_key(self, account: Account, day: str, region: str, service: str) -> bytes:
        name = (account.access_key, day, region, service)
        key = self._keys.get(name)
        if key is None:
            key = f"AWS4{account.secret}".encode()
            for part in (day, region, service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys.put(name, key)
        return key

    def _check_token(self, account: Account, call: SignedCall) -> None:
        token = call.headers.get("X-Amz-Security-Token", "")
        if not hmac.compare_digest(token.encode(), (account.session_token or "").encode()):
            raise _unrecognized()
        if account.expires_s is not None and self._wall_s() >= account.expires_s:
            raise Refusal(403, "ExpiredTokenException", "The security token included in the request is expired")


def _check_service(parts: re.Match[str], service: str) -> None:
    if parts["service"] != service:
        raise _mismatch(f"Credential should be scoped to correct service: '{service}'.")
    if service == IVS and not is_region(parts["region"]):
        raise _mismatch("Credential should be scoped to a valid region.")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = [pair.partition("=") for pair in query.split("&")]
    encoded = [
        (quote(unquote_plus(name), safe="-_.~"), quote(unquote_plus(value), safe="-_.~")) for name, _, value in pairs
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _unrecognized() -> Refusal:
    return Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")


def _mismatch(message: str) -> Refusal:
    return Refusal(403, "InvalidSignatureException", message)
