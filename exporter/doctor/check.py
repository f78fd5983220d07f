"""A check: what one need of a run was found to be, and what to do about it; and many of them, made side by side."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from exporter.errors import (
    ClockWrong,
    CredentialsLost,
    ExportError,
    LakeBusy,
    Starved,
    Transient,
    Unreachable,
    UsageError,
)
from exporter.telemetry.unforeseen import as_own

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    #: ``failed`` is what would fail a run; ``skipped`` could not be asked, or is not needed.
    Found = Literal["ok", "warning", "failed", "skipped"]

#: How long a check may take. One that hangs is failed then.
CHECK_S = 10.0
_REMEDIES: tuple[tuple[tuple[type[ExportError], ...], str], ...] = (
    ((CredentialsLost,), "name credentials that AWS takes: AWS_PROFILE, keys in the environment, or a role"),
    ((ClockWrong,), "set this machine's clock, and keep it by NTP"),
    ((Unreachable,), "mend the endpoint, the proxy or the certificates that are named"),
    ((Starved,), "wait until others use less of the quota, or lower quota.calls_per_second"),
    ((Transient, LakeBusy), "look at the host that is named, at DNS, proxy and firewall; then ask again"),
    ((UsageError,), "mend the setting or the variable that is named"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """What one need of a run was found to be: the ``detail``, and what to do about it where it is not ok."""

    name: str
    outcome: Found
    detail: str
    remedy: str = ""

    def summary(self) -> dict[str, str]:
        """The check as ``--json`` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Examination:
    """How a check is made.

    It begins when those that it ``needs`` and those that it comes ``after`` are made. Where one that it needs is
    failed or skipped, it is skipped. It ends within ``within_s``.
    """

    name: str
    examine: Callable[[], Awaitable[Check]]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    within_s: float = CHECK_S


async def examined(examinations: Sequence[Examination]) -> AsyncIterator[Check]:
    """Make all checks, those side by side that need nothing of one another, and give them in their order.

    What one ``needs`` or comes ``after`` stands before it in that order, or behind it; they never wait in a circle.
    """
    tasks: dict[str, asyncio.Task[Check]] = {}
    begun = asyncio.Event()

    async def make(examination: Examination) -> Check:
        await begun.wait()
        if before := [tasks[name] for name in (*examination.needs, *examination.after)]:
            await asyncio.wait(before)
        for name in examination.needs:
            if (await tasks[name]).outcome in {"failed", "skipped"}:
                return Check(examination.name, "skipped", f"needs {name}")
        return await _made(examination)

    for examination in examinations:
        tasks[examination.name] = asyncio.create_task(make(examination))
    begun.set()
    try:
        for task in tasks.values():
            yield await task
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _made(examination: Examination) -> Check:
    """One check; what its error says is what is wrong. One that nobody foresaw ends no other check."""
    try:
        async with asyncio.timeout(examination.within_s):
            return await examination.examine()
    except ExportError as error:
        return failed_by(examination.name, error)
    except TimeoutError:
        detail = f"no end within {examination.within_s:g} s: what it asks does not answer"
        return Check(examination.name, "failed", detail, "look at what it asks, and at the way there")
    except Exception as error:  # noqa: BLE001 - a file system, or a library, that does what none should
        return failed_by(examination.name, as_own(error))


def failed_by(name: str, error: ExportError, remedy: str = "") -> Check:
    """The check that an error failed. The remedy is that of the error's kind where none is passed."""
    return Check(name, "failed", str(error), remedy or remedy_of(error))


def remedy_of(error: ExportError) -> str:
    """What is to be done about an error of this kind."""
    cause = error.__cause__ if isinstance(error.__cause__, ExportError) else error
    for kinds, remedy in _REMEDIES:
        if isinstance(error, kinds) or isinstance(cause, kinds):
            return remedy
    return "mend what is named, and ask again"
