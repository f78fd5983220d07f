"""Who the exporter is for AWS: whose its own credentials are, and whether each account's role can be assumed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.doctor.check import Check, failed_by
from exporter.doctor.way import named
from exporter.errors import CredentialsLost, ExportError, Transient

if TYPE_CHECKING:
    from exporter.doctor.way import WayToAws
    from exporter.settings import AccountSettings

CREDENTIALS = "credentials"
ROLES = "roles"


async def check_credentials(way: WayToAws) -> Check:
    """Find the run's own credentials, and ask STS whose they are; no permission is needed for that.

    Where only STS does not answer, that is a warning: a run without roles does without it.
    """
    await way.open_accounts()
    await way.accounts.check_own_keys()
    try:
        caller = way.caller = await way.accounts.own_caller(is_local=await way.is_local())
    except CredentialsLost as error:
        return failed_by(CREDENTIALS, error, "mend the keys; where the clock is wrong, set that first")
    except Transient as error:
        kept = failed_by(CREDENTIALS, error)
        return kept if way.settings.accounts else Check(CREDENTIALS, "warning", kept.detail, kept.remedy)
    if caller is None:
        return Check(
            CREDENTIALS, "ok", "found; whose they are is not asked, since IVS is emulated here, and STS is not"
        )
    return Check(CREDENTIALS, "ok", f"account {caller.account_id}, {caller.arn}")


async def check_roles(way: WayToAws) -> Check:
    """Assume the role of each account, once."""
    accounts = way.settings.accounts
    errors = [error for error in await asyncio.gather(*(_assume(way, account) for account in accounts)) if error]
    if not errors:
        return Check(ROLES, "ok", f"assumed: {named(account.role_arn for account in accounts)}")
    remedy = (
        "allow sts:AssumeRole on the role to the exporter's own credentials, and let the role's trust policy name them"
        " and the external id, as `ivs-export config trust-policy.json` does"
    )
    return Check(ROLES, "failed", named(map(str, errors), 3), remedy)


async def _assume(way: WayToAws, account: AccountSettings) -> ExportError | None:
    try:
        await way.accounts.for_scope(account)
    except CredentialsLost as error:
        return error
    return None
