"""Whose credentials a scope is read with: the run's own, or those of a role in the scope's account.

All scopes that use the same credentials share one session, and all sessions share what botocore reads of
models and rules from disk, which is nearly all of the 8 MiB that a session takes. The parts used here are public:
botocore's ``Session.register_component`` and its chain of credential providers, aiobotocore's refreshable credentials.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.credentials import AioCredentialResolver
from aiobotocore.session import AioSession
from botocore.exceptions import CredentialRetrievalError

from exporter.aws.credentials import keys_of
from exporter.aws.endpoints import check_endpoint_settings
from exporter.aws.errors import NO_CREDENTIALS, providing_credentials
from exporter.aws.models import ModelLoader
from exporter.aws.roles import RoleProvider, RoleSts
from exporter.aws.sessions import SharedSession
from exporter.errors import CredentialsLost

if TYPE_CHECKING:
    from collections import Counter

    from exporter.aws.roles import Caller
    from exporter.aws.sessions import MakeSession
    from exporter.settings import AccountSettings, Settings


class Accounts:
    """The sessions of a run: its own, and one for each account's role; as an asynchronous context manager.

    ``run_id`` is part of the roles' session names, which CloudTrail logs. A role is assumed, and STS connected to, at
    the first use.
    """

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._settings = settings
        self._run_id = run_id
        self._loader: Any = None
        self._own = SharedSession(self._new_session)
        self._sts = RoleSts(self._own, settings)
        self._roles = {
            account.account_id: SharedSession(partial(self._new_role_session, account)) for account in settings.accounts
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
        """Give the session with the run's own credentials; each further call gives another, those having expired."""
        return self._own.for_one()

    async def check_own_keys(self) -> None:
        """Raise :class:`CredentialsLost` where the run has no credentials of its own, or none that can be used."""
        with providing_credentials():
            own = await self._own.current.get_credentials()
        if own is None:
            raise CredentialsLost(NO_CREDENTIALS)
        await keys_of(own)

    @property
    def sts_calls(self) -> Counter[str]:
        """What STS was asked so far, by operation."""
        return self._sts.calls

    async def own_caller(self, *, is_local: bool) -> Caller | None:
        """Whose the run's own credentials are, as `RoleSts.caller` asks for it, and raises."""
        return await self._sts.caller(is_local=is_local)

    async def own_account(self, *, is_local: bool) -> str | None:
        """The account of the run's own credentials, as `RoleSts.caller_account` asks for it."""
        return await self._sts.caller_account(is_local=is_local)

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
            raise CredentialsLost(f"{account.role_arn} can't be assumed: {error.kwargs['error_msg']}") from error
        return role.for_one()

    def _new_role_session(self, account: AccountSettings) -> AioSession:
        role = RoleProvider(account, f"ivs-export-{self._run_id}", self._sts)
        session = self._new_session()
        session.register_component("credential_provider", AioCredentialResolver([role]))
        return session

    def _new_session(self) -> AioSession:
        session = AioSession()
        if self._loader is None:
            self._loader = ModelLoader(session.get_component("data_loader").search_paths)
        session.register_component("data_loader", self._loader)
        return session
