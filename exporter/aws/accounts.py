"""Whose credentials a scope is read with: the run's own, or those of a role in the scope's account.

All scopes that use the same credentials share one aioboto3 session, and all sessions share what botocore reads of
models and rules from disk, which is nearly all of the 8 MiB that a session takes. The parts used here are public:
botocore's ``Session.register_component`` and its chain of credential providers, aiobotocore's refreshable credentials.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentialResolver, AioRefreshableCredentials
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError

from exporter import __version__
from exporter.aws.credentials import keys_of, renewal_of
from exporter.aws.endpoints import check_endpoint_settings
from exporter.aws.errors import is_of_process, providing_credentials, words_of
from exporter.errors import CredentialsLost, ExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.settings import AccountSettings, Settings

    #: Gives a session each time that its user needs one: another one than before, for what it had has expired.
    MakeSession = Callable[[], aioboto3.Session]

_EXPIRED_CODES = ("ExpiredToken", "ExpiredTokenException")
_MASK = "***"


class Accounts:
    """The sessions of a run: its own, and one for each account's role; as an asynchronous context manager.

    ``run_id`` names the run to whoever reads what CloudTrail logged. No role is assumed, and STS is not connected to,
    before it is asked for.
    """

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._settings = settings
        self._run_id = run_id
        self._loader: Any = None
        self._own = _Shared(self._new_session)
        self._sts = _Sts(self._own, settings)
        self._roles = {
            account.account_id: _Shared(partial(self._new_role_session, account)) for account in settings.accounts
        }

    async def __aenter__(self) -> Self:
        """Find the run's own credentials, before anything else is asked.

        Raises :class:`CredentialsLost` where they can't be used, and :class:`UsageError` for a wrong endpoint of STS's.
        """
        if self._settings.accounts:
            check_endpoint_settings("STS")
        with providing_credentials():
            own = await self._own.current.get_credentials()
        if own is not None:
            await keys_of(own)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._sts.close()

    def own_sessions(self) -> MakeSession:
        """Gives the session with the run's own credentials, and another each time that those have expired."""
        return self._own.for_one()

    async def for_scope(self, account: AccountSettings | None) -> MakeSession:
        """What a scope gets its sessions from: its account's role, which is assumed now, or the run's own credentials.

        Raises :class:`CredentialsLost` where the role can't be assumed.
        """
        if account is None:
            return self._own.for_one()
        role = self._roles[account.account_id]
        try:
            await role.current.get_credentials()
        except CredentialRetrievalError as error:
            raise CredentialsLost(str(error)) from error
        return role.for_one()

    def _new_session(self) -> aioboto3.Session:
        return aioboto3.Session(botocore_session=self._new_botocore_session())

    def _new_role_session(self, account: AccountSettings) -> aioboto3.Session:
        role = _Role(account, f"ivs-export-{self._run_id}", self._sts)
        session = self._new_botocore_session()
        session.register_component("credential_provider", AioCredentialResolver([role]))
        return aioboto3.Session(botocore_session=session)

    def _new_botocore_session(self) -> Any:  # noqa: ANN401 - botocore has no types
        session = get_session()
        if self._loader is None:
            self._loader = session.get_component("data_loader")
        session.register_component("data_loader", self._loader)
        return session


def open_session(make: MakeSession = aioboto3.Session) -> aioboto3.Session:
    """The session that ``make`` makes. Raises :class:`CredentialsLost` where AWS's own configuration can't be read."""
    with providing_credentials():
        return make()


class _Shared:
    """The session of all who use the same credentials, replaced for all of them as soon as one finds it expired."""

    def __init__(self, make: MakeSession) -> None:
        self._make = make
        self._current: aioboto3.Session | None = None

    @property
    def current(self) -> aioboto3.Session:
        if self._current is None:
            self._current = open_session(self._make)
        return self._current

    def other_than(self, expired: aioboto3.Session | None) -> aioboto3.Session:
        """The current session, but never ``expired``."""
        if expired is not None and expired is self._current:
            self._current = None
        return self.current

    def for_one(self) -> MakeSession:
        """The sessions of one user: first the one that all use, then each time another than it was given before."""
        given: aioboto3.Session | None = None

        def next_session() -> aioboto3.Session:
            nonlocal given
            given = self.other_than(given)
            return given

        return next_session


class _Sts:
    """STS, asked with the run's own credentials through one client for all roles: certificates are slow to load.

    It is asked in the region that AWS's own settings name, else in the first that is exported.
    """

    def __init__(self, own: _Shared, settings: Settings) -> None:
        self._own = own
        self._settings = settings
        self._clients = AsyncExitStack()
        self._client: Any = None
        self._session: aioboto3.Session | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        await self._clients.aclose()

    async def assume_role(self, **params: str) -> Any:  # noqa: ANN401 - botocore has no types
        """STS's answer. Where the run's own credentials have expired, they are read anew, once."""
        session = self._own.current
        try:
            return await (await self._client_of(session)).assume_role(**params)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _EXPIRED_CODES:
                raise
        return await (await self._client_of(self._own.other_than(session))).assume_role(**params)

    async def _client_of(self, session: aioboto3.Session) -> Any:  # noqa: ANN401 - the same
        async with self._opening:
            if self._session is not session:
                client = session.client("sts", region_name=session.region_name or self._region, config=self._config)
                self._client = await self._clients.enter_async_context(client)
                self._session = session
            return self._client

    @property
    def _region(self) -> str:
        return (self._settings.accounts[0].regions or self._settings.regions)[0]

    @property
    def _config(self) -> AioConfig:
        return AioConfig(
            connect_timeout=self._settings.http.connect_timeout_s,
            read_timeout=self._settings.http.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": self._settings.retry.attempts},
            user_agent_extra=f"ivs-export/{__version__}",
        )


@dataclass(slots=True)
class _Role:
    """One account's role as a provider in botocore's chain of credentials: assumed, and again before its keys end."""

    account: AccountSettings
    session_name: str
    sts: _Sts
    METHOD: ClassVar[str] = "assume-role"
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _credentials: AioRefreshableCredentials | None = None
    _refusal: str | None = None

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
        except (BotoCoreError, ClientError, OSError, RuntimeError) as error:
            # Not chained: STS quotes what it calls invalid.
            raise self._error(words_of(error)) from None
        except Exception as error:  # noqa: BLE001 - whatever else botocore comes to, it is over what was answered
            own = words_of(error) if is_of_process(error) else ""
            raise self._error(own or f"STS's answer can't be read: {type(error).__name__}") from None
        try:
            given = answer["Credentials"]
            keys = {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
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


def _seconds_left(keys: dict[str, str]) -> float:
    return (datetime.fromisoformat(keys["expiry_time"]) - datetime.now(UTC)).total_seconds()
