"""What a run meets outside itself: time, its process, AWS and the lake. Passed in, so that all can be simulated."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from exporter.aws.accounts import Accounts
from exporter.aws.credentials import Credentials
from exporter.catalog.when_wanted import keep_wanted_catalog
from exporter.commit_log.process import is_gone, this_process
from exporter.ivs.endpoints import find_endpoint
from exporter.ivs.http import open_connections
from exporter.lake.stores.open import open_store
from exporter.machine.clock import system_clock
from exporter.machine.loopback import is_loopback
from exporter.pipeline.page_spool import warn_of_temporary_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from exporter.aws.sessions import MakeSession
    from exporter.catalog.outcome import Publication
    from exporter.commit_log.process import Process
    from exporter.ivs.endpoints import Endpoint
    from exporter.ivs.http import Connections
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.settings import AccountSettings, Settings

    #: Finds where IVS Real-Time answers in a region.
    FindEndpoint = Callable[[str], Coroutine[Any, Any, Endpoint]]
    #: Brings the catalog of a lake up to its log.
    KeepCatalog = Callable[[Settings, Store, MakeSession | None, Clock], Coroutine[Any, Any, Publication]]


@dataclass(frozen=True, slots=True)
class Services:
    """AWS and the lake, as one run reaches them while they are open.

    ``endpoints`` are by region. ``credentials`` gives what a scope's calls are signed with: the run's own where the
    account is None, else those of the account's role, which is assumed now. It raises :class:`CredentialsLost`.
    ``find_endpoint`` finds that of any other region, where others can be asked. ``own_account`` asks STS which account
    the run's own credentials are of; None where it does not answer. ``own_sessions`` gives sessions with
    the run's own credentials.
    """

    store: Store
    connections: Connections
    endpoints: Mapping[str, Endpoint]
    credentials: Callable[[AccountSettings | None], Coroutine[Any, Any, Credentials]]
    find_endpoint: FindEndpoint | None = None
    own_account: Callable[[], Coroutine[Any, Any, str | None]] | None = None
    own_sessions: MakeSession | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, processes, and the way to AWS and the lake.

    ``is_gone`` says whether a process has ended, or None where that can't be seen from here. ``open_services`` takes
    the settings, the run's id and the regions that it calls. ``keep_catalog`` brings a catalog up to the log.
    """

    clock: Clock
    process: Process
    is_gone: Callable[[Process], bool | None]
    open_services: Callable[[Settings, str, Iterable[str]], AbstractAsyncContextManager[Services]]
    keep_catalog: KeepCatalog = keep_wanted_catalog


def real_surroundings(other_clock: Clock | None = None) -> Surroundings:
    """The surroundings of this process. A test may pass an ``other_clock`` than this machine's."""
    clock = other_clock or system_clock()

    @asynccontextmanager
    async def open_services(settings: Settings, run_id: str, regions: Iterable[str]) -> AsyncIterator[Services]:
        await asyncio.to_thread(warn_of_temporary_folder)
        accounts = Accounts(settings, run_id)
        session = accounts.own_sessions()()

        async def credentials(account: AccountSettings | None) -> Credentials:
            return Credentials(await accounts.for_scope(account), clock.monotonic_s)

        async with (
            accounts,
            open_connections(settings.http) as connections,
        ):
            # What is wrong with the way to AWS is found out before the lake is looked at.
            endpoints = {region: await find_endpoint(session, region) for region in regions}
            async with open_store(settings.lake, accounts.own_sessions(), settings.s3) as store:
                find = partial(find_endpoint, session)
                is_local = all(is_loopback(url) for endpoint in endpoints.values() for url in endpoint.urls.values())
                own_account = partial(accounts.own_account, is_local=is_local)
                yield Services(store, connections, endpoints, credentials, find, own_account, accounts.own_sessions())

    return Surroundings(clock, this_process(), is_gone, open_services)
