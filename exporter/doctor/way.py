"""The way to AWS as a run would take it, opened piece by piece, so that each piece can fail alone."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from exporter.aws.accounts import Accounts
from exporter.aws.credentials import Credentials
from exporter.commit_log.once import Once
from exporter.discovery.request import Request
from exporter.ivs.client import Client
from exporter.ivs.endpoints import find_endpoint
from exporter.ivs.http import open_connections
from exporter.ivs.retry import RetryingCaller
from exporter.ivs.service_time import FarDates
from exporter.ledger import ScopeLedger
from exporter.machine.loopback import is_loopback
from exporter.pipeline.scope_plan import plan_scopes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.aws.roles import Caller
    from exporter.aws.sessions import MakeSession
    from exporter.ivs.endpoints import Endpoint
    from exporter.ivs.http import Connections
    from exporter.machine.clock import Clock
    from exporter.pipeline.scope_plan import ScopePlan
    from exporter.settings import AccountSettings, Settings

#: How long one attempt at a call waits; two of them are made, and all ends before a check's time is up.
ANSWER_S = 3.0
_ATTEMPTS, _BETWEEN_S = 2, 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the way to AWS is waited for: ``answer_s`` for each attempt's connection and for each of its bytes."""

    answer_s: float = ANSWER_S

    @property
    def call_s(self) -> float:
        """For one call, all attempts together."""
        return _ATTEMPTS * self.answer_s + _BETWEEN_S


class WayToAws:
    """AWS as a run with these settings would reach it; an asynchronous context manager, that opens nothing yet.

    ``scopes`` are those of the run. The mutable state: the ``dates`` of answers, by host, each with the local time at
    which it came, in microseconds since the epoch; whether a signed call ``is_accepted``; whose the credentials are
    (``caller``), once STS was asked; and the calls that were made.
    """

    def __init__(self, settings: Settings, clock: Clock, run_id: str, patience: Patience) -> None:
        self.settings = _hurried(settings, patience)
        self.clock = clock
        self.scopes = plan_scopes(settings, Request())
        self.accounts = Accounts(self.settings, run_id)
        self.dates: dict[str, tuple[str, int]] = {}
        self.is_accepted = False
        self.caller: Caller | None = None
        self._stack = AsyncExitStack()
        self._ledgers: list[ScopeLedger] = []
        self._probes = 0
        self._connections = Once(self._connect)
        self._endpoints: dict[str, Once[Endpoint]] = {}
        self._far_dates = FarDates()
        self._far_dates.has_warned = True  # the check of the clock says it

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    @property
    def regions(self) -> list[str]:
        """The regions of the run."""
        return sorted({plan.region for plan in self.scopes})

    @property
    def ivs_calls(self) -> Counter[str]:
        """The calls of IVS so far, by operation; those without a signature are `unsigned`."""
        return sum((ledger.calls for ledger in self._ledgers), Counter(unsigned=self._probes))

    @property
    def sts_calls(self) -> Counter[str]:
        """The calls of STS so far, by operation."""
        return self.accounts.sts_calls

    async def probe(self, region: str) -> tuple[Endpoint, str]:
        """The endpoint of a region, and what it is asked under; the unsigned call is counted."""
        self._probes += 1
        endpoint = await self.endpoint(region)
        return endpoint, next(iter(endpoint.urls.values()))

    async def connections(self) -> Connections:
        """The connections of all calls. Raises :class:`UsageError` where certificates that are named can't be read."""
        return await self._connections.get()

    async def endpoint(self, region: str) -> Endpoint:
        """Where IVS answers in a region. Raises as `find_endpoint`."""
        once = self._endpoints.setdefault(region, Once(partial(self._find, region)))
        return await once.get()

    async def open_accounts(self) -> None:
        """Find the run's own credentials. Raises as `Accounts` does when it is entered."""
        await self._stack.enter_async_context(self.accounts)

    async def is_local(self) -> bool:
        """Whether IVS is emulated on this machine in all regions."""
        endpoints = [await self.endpoint(region) for region in self.regions]
        return all(is_loopback(url) for endpoint in endpoints for url in endpoint.urls.values())

    def own_sessions(self) -> MakeSession:
        """The sessions with the run's own credentials."""
        return self.accounts.own_sessions()

    async def caller_of(self, account: AccountSettings | None, region: str) -> RetryingCaller:
        """What calls IVS in a region, with an account's role or the run's own credentials. Raises as the two do."""
        ledger = self.ledger(region, account)
        retry, quota = self.settings.retry, self.settings.quota
        client = await self.client_of(account, region)
        return RetryingCaller(client, quota, retry, self.settings.run.concurrency, self.clock, ledger)

    async def client_of(self, account: AccountSettings | None, region: str) -> Client:
        """What makes one attempt at a call in a region. Raises as `caller_of`."""
        credentials = Credentials(await self.accounts.for_scope(account), self.clock.monotonic_s)
        clock = self.clock
        endpoint, connections = await self.endpoint(region), await self.connections()
        return Client(credentials, endpoint, connections, clock.wall_us, self._far_dates, clock.machine_us)

    def ledger(self, region: str, account: AccountSettings | None = None) -> ScopeLedger:
        """A ledger whose calls are counted."""
        ledger = ScopeLedger(region, None if account is None else account.account_id)
        self._ledgers.append(ledger)
        return ledger

    async def _connect(self) -> Connections:
        return await self._stack.enter_async_context(open_connections(self.settings.http))

    async def _find(self, region: str) -> Endpoint:
        return await find_endpoint(self.accounts.own_sessions()(), region)


def name_of(plan: ScopePlan) -> str:
    """What a scope is called in a check: ``<account>-<region>``, or the region alone."""
    return plan.region if plan.account_id is None else f"{plan.account_id}-{plan.region}"


def named(names: Iterable[str], shown_max: int = 10) -> str:
    """Some names in a line: the first few, and how many more there are."""
    listed = list(names)
    more = len(listed) - shown_max
    return ", ".join(listed[:shown_max]) + (f" and {more:,} more" if more > 0 else "")


def _hurried(settings: Settings, patience: Patience) -> Settings:
    """The settings with waits that fit into a check."""
    http = settings.http.model_copy(
        update={
            "connect_timeout_s": min(settings.http.connect_timeout_s, patience.answer_s),
            "read_timeout_s": min(settings.http.read_timeout_s, patience.answer_s),
        }
    )
    retry = settings.retry.model_copy(update={"attempts": _ATTEMPTS, "timeout_s": patience.call_s})
    return settings.model_copy(update={"http": http, "retry": retry})
