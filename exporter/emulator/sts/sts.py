"""STS, as far as an exporter uses it: from the form that was posted to the XML of the answer.

Source: AWS Security Token Service API Reference, "AssumeRole", "GetCallerIdentity" and "Common Errors".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from exporter.emulator.protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from exporter.emulator.options import Account, RoleOptions
    from exporter.emulator.sts.roles import Roles
    from exporter.model import Scope

#: The signing name of STS in botocore's model.
STS = "sts"
#: The calls that are emulated.
ACTIONS = ("AssumeRole", "GetCallerIdentity")
#: How the answers call the type of what they hold.
CONTENT_TYPE = "text/xml"

_XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account_id>[0-9]{12}):role/(?:[!-~]+/)?(?P<name>[\w+=,.@-]{1,64})", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_LIFE_S, _LIFE_S_MIN, _LIFE_S_MAX = 3_600, 900, 43_200
# IVS's names of a signature's flaws, and those of STS.
_CODES = {
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


@dataclass(frozen=True, slots=True)
class Sts:
    """Assumes the role of any of the ``accounts``, and answers which account a caller's keys are of."""

    options: RoleOptions
    accounts: Collection[str]
    roles: Roles

    def answer(self, caller: Scope, body: bytes) -> bytes:
        """The answer to a call that was signed by ``caller``. Raises :class:`Refusal` where it is refused."""
        form, action = _form(body), action_of(body)
        if action is None:
            raise Refusal(
                400,
                "InvalidAction",
                f"Could not find operation for this version: only {' and '.join(ACTIONS)} are emulated",
            )
        if action == "GetCallerIdentity":
            return _identity(caller)
        return self._assume_role(caller, form)

    def _assume_role(self, caller: Scope, form: Mapping[str, str]) -> bytes:
        arn, session_name = form.get("RoleArn", ""), form.get("RoleSessionName", "")
        role = _ROLE_ARN.fullmatch(arn)
        if role is None:
            raise _invalid(f"{arn} is invalid" if arn else "Value at 'roleArn' must not be null")
        if not _SESSION_NAME.fullmatch(session_name):
            raise _invalid("Value at 'roleSessionName' failed to satisfy constraint: 2 to 64 of [\\w+=,.@-]")
        life_s = _life_s(form)
        account_id = role["account_id"]
        is_known = account_id in self.accounts and role["name"] == self.options.name
        is_open = account_id not in self.roles.refused and self.options.external_id in (None, form.get("ExternalId"))
        if not (is_known and is_open):
            raise Refusal(
                403,
                "AccessDenied",
                f"User: arn:aws:iam::{caller.account_id}:root is not authorized to perform: sts:AssumeRole on resource:"
                f" {arn}",
            )
        keys = self.roles.issue(account_id, life_s if self.options.life_s is None else self.options.life_s)
        return _assumed(keys, f"arn:aws:sts::{account_id}:assumed-role/{role['name']}/{session_name}")


def action_of(body: bytes) -> str | None:
    """The action that a posted form asks for; None where it is none that is emulated."""
    action = _form(body).get("Action")
    return action if action in ACTIONS else None


def refusal(problem: Refusal) -> bytes:
    """A refused call in STS's XML."""
    code = _CODES.get(problem.code or "", problem.code or "InternalFailure")
    return (
        f'<ErrorResponse xmlns="{_XMLNS}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(problem.message)}</Message></Error></ErrorResponse>"
    ).encode()


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True))


def _life_s(form: Mapping[str, str]) -> float:
    text = form.get("DurationSeconds", str(_LIFE_S))
    if not text.isdecimal() or not _LIFE_S_MIN <= int(text) <= _LIFE_S_MAX:
        raise _invalid(f"Value at 'durationSeconds' must be {_LIFE_S_MIN} to {_LIFE_S_MAX}")
    return float(text)


def _assumed(keys: Account, arn: str) -> bytes:
    expires = datetime.fromtimestamp(keys.expires_s or 0.0, UTC).isoformat(timespec="milliseconds")
    return (
        f'<AssumeRoleResponse xmlns="{_XMLNS}"><AssumeRoleResult><AssumedRoleUser>'
        f"<AssumedRoleId>AROAEMULATOR:{escape(arn.rpartition('/')[2])}</AssumedRoleId><Arn>{escape(arn)}</Arn>"
        f"</AssumedRoleUser><Credentials><AccessKeyId>{keys.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{keys.secret}</SecretAccessKey><SessionToken>{keys.session_token}</SessionToken>"
        f"<Expiration>{expires.replace('+00:00', 'Z')}</Expiration></Credentials></AssumeRoleResult>"
        "</AssumeRoleResponse>"
    ).encode()


def _identity(caller: Scope) -> bytes:
    return (
        f'<GetCallerIdentityResponse xmlns="{_XMLNS}"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{caller.account_id}:root</Arn><UserId>{caller.account_id}</UserId>"
        f"<Account>{caller.account_id}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    ).encode()


def _invalid(message: str) -> Refusal:
    return Refusal(400, "ValidationError", message)
