"""What STS is asked with the run's own credentials: whose they are, and a role in an account.

A role is assumed again before its keys end.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError

from exporter import __version__
from exporter.aws.credentials import renewal_of
from exporter.aws.errors import EXPIRED_CODES, EXPLAINED, is_of_process, lost, message_of
from exporter.aws.network import STATUS_SERVER_ERROR
from exporter.aws.unanswered import cause_of, host_in
from exporter.errors import ExportError, Transient
from exporter.machine.loopback import is_loopback
from exporter.telemetry.logger import Logger
from exporter.text import NAME_LENGTH_MAX, one_line

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from exporter.aws.sessions import SharedSession
    from exporter.settings import AccountSettings, Settings


_MASK = "***"
# A hint alone: a run goes on without it.
_CALLER_WAIT_S = 5.0
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials some are, as STS says it."""

    account_id: str
    arn: str


class RoleSts:
    """STS, asked with the run's own credentials through one client for all: certificates are slow to load.

    It is asked in the region that AWS's own settings name, else in the first that is exported. ``calls`` counts what it
    is asked, by operation.
    """

    def __init__(self, own: SharedSession, settings: Settings) -> None:
        self.calls: Counter[str] = Counter()
        self._own = own
        self._settings = settings
        self._clients = AsyncExitStack()
        self._client: Any = None
        self._session: AioSession | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the clients that were opened."""
        await self._clients.aclose()

    async def assume_role(self, **params: str) -> Any:  # noqa: ANN401 - botocore has no types
        """STS's answer. Where the run's own credentials have expired, they are read anew, once."""
        return await self._ask("assume_role", **params)

    async def caller_account(self, *, is_local: bool) -> str | None:
        """The account of the run's own credentials; None where STS does not answer within seconds, for any reason.

        No permission is needed for that (AWS Security Token Service API Reference, "GetCallerIdentity"). ``is_local``
        says that IVS is emulated on this machine: AWS's own STS knows nothing of an emulator's keys, and is not asked.
        """
        try:
            async with asyncio.timeout(_CALLER_WAIT_S):
                caller = await self.caller(is_local=is_local)
        except Exception as error:  # noqa: BLE001 - a hint, by which nothing fails
            _log.info("STS does not say whose the credentials are", reason=message_of(error))
            return None
        return None if caller is None else caller.account_id

    async def caller(self, *, is_local: bool) -> Caller | None:
        """Ask whose the run's own credentials are; None where STS is not asked, for ``is_local``, as `caller_account`.

        Raises :class:`CredentialsLost` where STS refuses them, and :class:`Transient` where it gives no answer, or none
        that can be read.
        """
        try:
            client = await self._client_of(self._own.current)
            if is_local and not is_loopback(client.meta.endpoint_url):
                return None
            answer = await self._ask("get_caller_identity")
            caller = Caller(str(answer.get("Account")), one_line(answer.get("Arn", ""), NAME_LENGTH_MAX))
        except ExportError:
            raise
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= STATUS_SERVER_ERROR:
                raise Transient(f"STS does not answer: {message_of(error)}") from error
            raise lost(error) from None
        except Exception as error:
            raise Transient(_unanswered(error)) from error
        if not _ACCOUNT_ID.fullmatch(caller.account_id):
            raise Transient("what STS answers names no account: does something between here and AWS answer?")
        return caller

    async def _ask(self, operation: str, **params: str) -> Any:  # noqa: ANN401 - the same
        session = self._own.current
        self.calls["".join(map(str.capitalize, operation.split("_")))] += 1
        try:
            return await getattr(await self._client_of(session), operation)(**params)
        except ClientError as error:
            if error.response["Error"]["Code"] not in EXPIRED_CODES:
                raise
        return await getattr(await self._client_of(self._own.other_than(session)), operation)(**params)

    async def _client_of(self, session: AioSession) -> Any:  # noqa: ANN401 - the same
        async with self._opening:
            if self._session is not session:
                client = session.create_client(
                    "sts",
                    region_name=session.get_config_variable("region") or self._region,
                    config=self._config,
                )
                self._client = await self._clients.enter_async_context(client)
                self._session = session
            return self._client

    @property
    def _region(self) -> str:
        accounts = self._settings.accounts
        return ((accounts[0].regions if accounts else ()) or self._settings.regions)[0]

    @property
    def _config(self) -> AioConfig:
        return AioConfig(
            connect_timeout=self._settings.http.connect_timeout_s,
            read_timeout=self._settings.http.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": self._settings.retry.attempts},
            user_agent_extra=f"ivs-export/{__version__}",
        )


@dataclass(slots=True)
class RoleProvider:
    """One account's role as a provider in botocore's chain of credentials: assumed, and again before its keys end."""

    account: AccountSettings
    session_name: str
    sts: RoleSts
    METHOD: ClassVar[str] = "assume-role"
    _loading: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _credentials: AioRefreshableCredentials | None = field(init=False, default=None)
    _refusal: str | None = field(init=False, default=None)

    async def load(self) -> AioRefreshableCredentials:
        """The role's credentials, the same for all who ask. Raises CredentialRetrievalError, to all alike."""
        async with self._loading:
            if self._refusal is not None:
                raise self._error(self._refusal)
            if self._credentials is None:
                try:
                    keys = await self._assume()
                except CredentialRetrievalError as error:
                    self._refusal = error.kwargs["error_msg"]
                    raise
                may_s, must_s = renewal_of(_seconds_left(keys))
                self._credentials = AioRefreshableCredentials.create_from_metadata(
                    keys,
                    refresh_using=self._assume,
                    method=self.METHOD,
                    advisory_timeout=may_s,
                    mandatory_timeout=must_s,
                )
            return self._credentials

    async def _assume(self) -> dict[str, str]:
        """New keys, under the names that botocore's refreshable credentials take. Raises CredentialRetrievalError."""
        params = {"RoleArn": self.account.role_arn, "RoleSessionName": self.session_name}
        if self.account.external_id is not None:
            params["ExternalId"] = self.account.external_id.get_secret_value()
        try:
            answer = await self.sts.assume_role(**params)
        except ExportError:
            raise
        except (*EXPLAINED, OSError) as error:
            # Not chained: STS quotes what it calls invalid.
            raise self._error(_reason(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever else botocore comes to, it is over what was answered
            own = message_of(error) if is_of_process(error) else ""
            raise self._error(own or f"STS's answer can't be read: {type(error).__name__}") from None
        try:
            new = answer["Credentials"]
            keys = {
                "access_key": new["AccessKeyId"],
                "secret_key": new["SecretAccessKey"],
                "token": new["SessionToken"],
                "expiry_time": new["Expiration"].isoformat(),
                "account_id": self.account.account_id,
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise self._error(f"STS's answer can't be read: {type(error).__name__}") from None
        if _seconds_left(keys) <= 0.0:
            raise self._error("by this machine's clock, the keys that STS gave have expired already")
        return keys

    def _error(self, reason: str) -> CredentialRetrievalError:
        if self.account.external_id is not None:
            reason = reason.replace(self.account.external_id.get_secret_value(), _MASK)
        return CredentialRetrievalError(provider=self.account.role_arn, error_msg=reason)


def _reason(error: BaseException) -> str:
    """Why a role is not assumed, and what to do where STS denies it."""
    if not isinstance(error, ClientError):
        return _unanswered(error)
    denied = error.response["Error"]["Code"] == "AccessDenied"
    return message_of(error) + ("; allow it there, and in the role's trust policy (external_id, too)" if denied else "")


def _unanswered(error: BaseException) -> str:
    """Why STS gave no answer, and which host was asked, where the error names one."""
    host = host_in(error)
    return f"STS does not answer ({host}: {cause_of(error, 'STS')})" if host else message_of(error)


def _seconds_left(keys: dict[str, str]) -> float:
    return (datetime.fromisoformat(keys["expiry_time"]) - datetime.now(UTC)).total_seconds()
