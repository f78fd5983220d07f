"""A run on a Dask cluster: a task a scope, and a summary that is read from the lake's logs.

What tasks return is gone with a worker that is killed, or comes twice where a task is done twice. So how each scope
stands is read from its log, by the run's tag, from the records that were not there when it began. A task's own word
counts for a region without a stage alone, of which there is no log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from exporter.cluster.outcomes import TaskEnd, ledgers_of, pending
from exporter.cluster.tasks import tasks_of
from exporter.cluster.worker import export_scope, exporters_at_work, stop_exporters
from exporter.commit_log.reader import last_numbers
from exporter.errors import ExportError, UsageError
from exporter.health.night import read_night
from exporter.lake.stores.open import open_store
from exporter.machine.installation import how_to_add
from exporter.pipeline.budget import Budget
from exporter.pipeline.publication import publish_after
from exporter.pipeline.run_context import RunContext
from exporter.pipeline.stop import StopRequested
from exporter.pipeline.surroundings import real_surroundings
from exporter.telemetry.logger import Logger
from exporter.text import one_line, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from aiobotocore.session import AioSession
    from distributed import Client, Future

    from exporter.cluster.tasks import ScopeTask
    from exporter.discovery.request import Request
    from exporter.lake.store import Store
    from exporter.ledger import ScopeLedger
    from exporter.model import Scope
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

_LOCAL = "local:"
_WORKERS = re.compile(r"[1-9][0-9]{0,3}")
_RETRIES = 2
#: How long the scheduler, and the first worker, may take to be there.
_CONNECT_S, _WORKER_S = 10.0, 60.0
#: How long a cluster may be without any worker, and how often that is looked at.
_NO_WORKER_S, _LOOK_S = 600.0, 5.0
#: How long tasks may take to end when the run is to stop: less than the ten seconds that the run itself has.
_STOP_S, _POLL_S = 6.0, 0.1
#: How often, at most, the lake's logs are read while the tasks are at work.
_FOLLOW_S = 30.0
_log = Logger(__name__)


class ClusterFailed(ExportError):
    """The cluster can't be reached, or has no worker left."""

    kind = "cluster"


@dataclass(frozen=True, slots=True)
class DaskRun:
    """A run whose scopes are tasks on a Dask cluster: it takes the place of `exporter.pipeline.run.run`.

    ``address`` is that of a scheduler, or ``local:N`` for N workers on this machine. ``make_session`` gives the run's
    own credentials, for the lake. ``config`` is the settings' file that was named, which workers of this machine have.
    """

    address: str
    make_session: Callable[[], AioSession]
    log_level: str = "info"
    config: str | None = None

    async def __call__(self, settings: Settings, request: Request, ledger: RunLedger, stop: Stop) -> None:
        """Export what ``request`` asks for, and note in ``ledger`` what the lake's logs say became of it.

        Raises :class:`UsageError`, :class:`ClusterFailed`, and :class:`LakeError` where the lake can't be read.
        """
        check_address(self.address)
        ledger.tag = tag = request.tag or ledger.run_id
        tasks = tasks_of(settings, request, tag, self.log_level)
        if not tasks:  # a shard may have none
            return
        ledger.scopes = [pending(task) for task in tasks]
        async with open_store(settings.lake, self.make_session, settings.s3) as store:
            before = await last_numbers(store)
            logs = _TaskLogs(store, tag, before, tasks)
            following = asyncio.create_task(logs.follow(ledger))
            try:
                async with self._client() as client:
                    try:
                        await _TaskRunner(client, tag, stop, logs.ends).carry_out(tasks)
                    finally:  # before the cluster is closed, which takes a while
                        ledger.scopes = await logs.read()
            except StopRequested:
                pass  # what was not begun is deferred
            finally:
                await _cancel(following)
                for scope in ledger.scopes:
                    scope.close()
            if settings.catalog.kind:  # once for all tasks, which leave it to the command
                context = RunContext(ledger.run_id, settings, request, stop, store, Budget(1), real_surroundings())
                ledger.publication = await publish_after(context, self.make_session)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        """Connect to the scheduler, or start one with its workers, all on 127.0.0.1. Both are gone after the block."""
        import distributed  # noqa: PLC0415 - only who wants a cluster has it
        from distributed import Client, LocalCluster  # noqa: PLC0415 - the same

        _quiet(distributed.__name__)
        if not self.address.startswith(_LOCAL):
            try:
                client = await Client(self.address, asynchronous=True, timeout=_CONNECT_S)
            except (OSError, ValueError, TimeoutError) as error:
                raise ClusterFailed(f"no Dask scheduler answers at {shown(self.address)}: {one_line(error)}") from error
            async with client:
                yield client
            return
        async with (
            LocalCluster(
                n_workers=int(self.address.removeprefix(_LOCAL)),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # none is shown, and a port of its own taken: two clusters may be here
                memory_limit=None,
                silence_logs=logging.CRITICAL,
                env={} if self.config is None else {"IVS_EXPORT_CONFIG": self.config},
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            yield client


def check_address(address: str) -> None:
    """Raise :class:`UsageError` for what is no cluster, or where Dask is not installed."""
    is_local = address.startswith(_LOCAL)
    if is_local and not _WORKERS.fullmatch(address.removeprefix(_LOCAL)):
        raise UsageError(f"--dask {shown(address)} is refused: write local:N for N workers on this machine")
    if not is_local and (":" not in address or not address.isprintable()):
        raise UsageError(
            f"--dask {shown(address)} is refused: write local:N, or a scheduler's address (tcp://HOST:PORT)"
        )
    try:
        import distributed  # noqa: F401, PLC0415 - only who wants a cluster has it
    except ImportError as error:
        raise UsageError(f"--dask needs the extra dask: {how_to_add('dask')}") from error


def _quiet(library: str) -> None:
    """Silence a library's logs but for what is critical, which goes where ours goes. It had set up logs of its own."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == library:
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
            logging.getLogger(name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class _TaskLogs:
    """What the logs say of the tasks, from the records after ``before`` on; ``ends`` are the tasks' own words."""

    store: Store
    tag: str
    before: Mapping[Scope, int]
    tasks: Sequence[ScopeTask]
    ends: dict[str, TaskEnd] = field(init=False, default_factory=dict)

    async def follow(self, ledger: RunLedger) -> None:
        """Let the ledger show what is in the lake so far; reading it takes a tenth of the time at most."""
        wait_s = _FOLLOW_S
        while True:
            await asyncio.sleep(wait_s)
            began_s = monotonic()
            ledger.scopes = await self.read()
            wait_s = max(_FOLLOW_S, 9.0 * (monotonic() - began_s))

    async def read(self) -> list[ScopeLedger]:
        nights = await read_night(self.store, self.tag, self.before)
        return ledgers_of(self.tasks, nights, self.ends, self.tag)


@dataclass(frozen=True, slots=True)
class _TaskRunner:
    """Has tasks carried out on a cluster, and notes how they ended in ``ends``, by the tasks' names."""

    client: Client
    tag: str
    stop: Stop
    ends: dict[str, TaskEnd]

    async def carry_out(self, tasks: Sequence[ScopeTask]) -> None:
        """See all tasks to their ends. Raises :class:`StopRequested`, and :class:`ClusterFailed`."""
        await self.stop.cut(self._first_worker())
        futures = {
            self.client.submit(
                export_scope, task, self.tag, key=f"{task.name}-{self.tag}", retries=_RETRIES, pure=False
            ): task
            for task in tasks
        }
        waiting = asyncio.create_task(self._wait_for(futures))
        watching = asyncio.create_task(self._watch())
        try:
            await self.stop.cut(_first_of(waiting, watching))
        except StopRequested:
            await _cancel(waiting, watching)  # before tasks are taken back, which is no end of theirs
            await self._stop(list(futures))
            raise
        finally:
            await _cancel(waiting, watching)

    async def _first_worker(self) -> None:
        try:
            await self.client.wait_for_workers(1, timeout=_WORKER_S)
        except TimeoutError as error:
            raise ClusterFailed(f"the Dask cluster has had no worker for {_WORKER_S:g} s") from error

    async def _wait_for(self, futures: Mapping[Future, ScopeTask]) -> None:
        from distributed import as_completed  # noqa: PLC0415 - only who wants a cluster has it

        done = 0
        async for future in as_completed(futures):
            task = futures[future]
            self.ends[task.name] = end = await _end_of(future)
            future.release()  # else it is done again where its worker is lost later
            done += 1
            _log.info("task ended", scope=task.name, done=done, of=len(futures), reason=end.failed)

    async def _watch(self) -> None:
        """Raise :class:`ClusterFailed` where the cluster is gone, or has had no worker for long."""
        without_s = 0.0
        while without_s < _NO_WORKER_S:
            await asyncio.sleep(_LOOK_S)
            try:
                workers = await asyncio.wait_for(self.client.nthreads(), _CONNECT_S)
            except (OSError, TimeoutError) as error:
                reason = one_line(error) or f"no answer in {_CONNECT_S:g} s"
                raise ClusterFailed(f"the Dask scheduler is gone ({reason}): look at it, and start again") from error
            without_s = 0.0 if workers else without_s + _LOOK_S
        raise ClusterFailed(f"the Dask cluster has had no worker for {_NO_WORKER_S:g} s")

    async def _stop(self, futures: Sequence[Future]) -> None:
        """Begin no task any more, and let those at work commit what they have."""
        try:
            async with asyncio.timeout(_STOP_S):
                await self.client.cancel(futures, force=True)
                await self.client.run(stop_exporters, self.tag)
                while any((await self.client.run(exporters_at_work, self.tag)).values()):  # noqa: ASYNC110 - others end
                    await asyncio.sleep(_POLL_S)
        except (OSError, TimeoutError) as error:
            _log.warning("tasks not stopped", reason=one_line(error))


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _end_of(future: Future) -> TaskEnd:
    """How a task ended, as far as it could say."""
    if future.status == "finished":
        return TaskEnd(summary=await future.result())
    if future.status == "error":
        error = await future.exception()
        return TaskEnd(
            failed=str(error) if isinstance(error, ExportError) else f"{type(error).__name__}: {one_line(error)}"
        )
    return TaskEnd(failed=f"the cluster has lost it: {future.status}")


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait for the first of some tasks to end, and raise what it raises."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
