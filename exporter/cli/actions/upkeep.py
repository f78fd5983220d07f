"""What ``verify`` and ``repair`` do with a lake, and how they report it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from exporter.cli import exit_codes
from exporter.cli.actions.domain import Domain, check_domain
from exporter.cli.other_clock import other_clock
from exporter.cli.own_session import own_session
from exporter.cli.plain_logs import start_plain_logs
from exporter.commit_log.process import is_gone, this_process
from exporter.health.identity_checks import identity_problem
from exporter.health.repair import Repair, Repaired
from exporter.health.retention import accept_missing, parse_partitions
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.lake.identity import KEY, LakeKind, check_is_lake, decode_identity, open_lake
from exporter.lake.stores.open import open_store
from exporter.machine.clock import system_clock
from exporter.normalize.privacy import privacy_of
from exporter.query.database import check_duckdb
from exporter.text import counted, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from exporter.cli.invocation import Invocation
    from exporter.health.problems import Problem
    from exporter.health.retention import Partitions
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.settings import Settings


def verify_lake(invocation: Invocation, settings: Settings, removed: Sequence[str], *, is_domain: bool) -> int:
    """Carry out ``ivs-export verify``; ``removed`` are the partitions that were removed on purpose, as they were typed.

    ``is_domain`` makes the checks of the domain, too, of which only errors count as problems: the others say what IVS
    said, and can't be mended. Raises :class:`UsageError` and :class:`LakeError`.
    """
    if is_domain:
        check_duckdb()
    start_plain_logs()
    partitions = [parse_partitions(text) for text in removed]
    opening = _opening(invocation, settings)
    accepted, problems, verified = asyncio.run(_verified(opening, settings, partitions))
    domain = check_domain(invocation, settings) if is_domain and (problems or verified.files) else Domain()
    invocation.print_object(
        {
            "lake": settings.lake,
            "outcome": "failed" if domain.is_failed else _outcome(problems, verified),
            **_counts(verified),
            "accepted": accepted,
            "problems": [_object_of(problem) for problem in problems],
            "notes": [{"file": key, "message": note} for key, note in sorted(verified.notes.items())],
            **(domain.summary() if is_domain else {}),
        }
    )
    lines = [f"{key}: accepted as removed on purpose" for key in accepted]
    if removed and not accepted:
        lines.append(f"{', '.join(removed)}: no file that a log names is missing there, so nothing was accepted")
    lines += [f"{key}: note: {note}" for key, note in sorted(verified.notes.items())]
    lines += [f"{problem.key}: {problem.message}; {problem.remedy}" for problem in problems]
    lines += [_end(problems, verified), *(domain.lines() if is_domain else [])]
    invocation.say("\n".join(map(plain, lines)))
    return exit_codes.FAILED if problems or domain.is_failed else exit_codes.OK


def repair_lake(invocation: Invocation, settings: Settings, *, is_dry: bool) -> int:
    """Carry out ``ivs-export repair``. Raises :class:`LakeError`."""
    start_plain_logs()
    repaired = asyncio.run(_repaired(_opening(invocation, settings), settings, is_dry=is_dry))
    would = len(repaired.done) if is_dry else 0
    is_clean = not (repaired.left or would)
    invocation.print_object(
        {
            "lake": settings.lake,
            "outcome": "complete" if is_clean else "failed",
            "dry_run": is_dry,
            **_counts(repaired.verified),
            "repaired": [{"file": key, "done": done} for key, done in sorted(repaired.done.items())],
            "more_may_follow": repaired.is_more_likely,
            "sessions_opened": repaired.sessions_opened,
            "problems": [_object_of(problem) for problem in repaired.left],
        }
    )
    lines = [f"{key}: {done}" for key, done in sorted(repaired.done.items())]
    lines += [f"{problem.key}: {problem.message}; {problem.remedy}" for problem in repaired.left]
    if is_dry:
        more = "; what that shows a repair mends, too" if repaired.is_more_likely else ""
        left = counted(len(repaired.left), "problem")
        end = f"{would:,} to repair{more}, {left} that a repair leaves; nothing was changed"
    else:
        opened = f"{counted(repaired.sessions_opened, 'session')} to be asked for by the next run"
        end = f"{len(repaired.done):,} repaired, {counted(len(repaired.left), 'problem')} left, {opened}"
    invocation.say("\n".join(map(plain, [*lines, end])))
    return exit_codes.OK if is_clean else exit_codes.FAILED


async def _verified(
    opening: AbstractAsyncContextManager[Upkeep], settings: Settings, partitions: Sequence[Partitions]
) -> tuple[list[str], list[Problem], Verified]:
    verified = Verified()
    async with opening as upkeep:
        accepted = await accept_missing(upkeep, partitions) if partitions else []
        identity = await identity_problem(upkeep.store)
        problems = [] if identity is None else [identity]
        problems += [problem async for problem in verify(upkeep.store, verified, is_gone=is_gone)]
        if not (verified.scopes or problems):
            await check_is_lake(upkeep.store, settings.lake)
    return accepted, problems, verified


async def _repaired(opening: AbstractAsyncContextManager[Upkeep], settings: Settings, *, is_dry: bool) -> Repaired:
    async with opening as upkeep:
        repair = Repair(upkeep)
        repaired = await (repair.plan() if is_dry else repair.run())
        if not (repaired.verified.scopes or repaired.done or repaired.left):
            await check_is_lake(upkeep.store, settings.lake)
    return repaired


def _opening(invocation: Invocation, settings: Settings) -> AbstractAsyncContextManager[Upkeep]:
    """The upkeep, to be opened. Its clock is looked for first: that asks AWS's own settings in a loop of its own."""
    return _upkeep(invocation, settings, other_clock(settings) or system_clock())


@asynccontextmanager
async def _upkeep(invocation: Invocation, settings: Settings, clock: Clock) -> AsyncIterator[Upkeep]:
    async with open_store(settings.lake, own_session, settings.s3) as store:

        async def ensure_lake() -> None:
            kind = await _kind_of(store, settings)
            await open_lake(store, settings.lake, kind, invocation.ledger.run_id, random.SystemRandom().random)

        yield Upkeep(store, invocation.ledger.run_id, clock, this_process(), is_gone, ensure_lake)


async def _kind_of(store: Store, settings: Settings) -> LakeKind:
    """Of which kind the lake is, and stays. Where its file was lost, the settings say it.

    Raises as `decode_identity`, and :class:`UsageError` where the settings need a key that is not there.
    """
    body = await store.read(KEY)
    if body is not None:
        return decode_identity(body).kind
    if await identity_problem(store) is None:
        return LakeKind()  # from before there was such a file
    return LakeKind(privacy=privacy_of(settings.privacy).fingerprint())


def _outcome(problems: Sequence[Problem], verified: Verified) -> str:
    """``complete``; ``empty`` where no log is there, or none that names a file; ``failed`` where something is wrong."""
    if problems:
        return "failed"
    return "complete" if verified.files else "empty"


def _counts(verified: Verified) -> dict[str, int]:
    return {"scopes": verified.scopes, "files": verified.files, "events": verified.rows["events"]}


def _object_of(problem: Problem) -> dict[str, Any]:
    return {"file": problem.key, "kind": problem.kind, "message": problem.message, "remedy": problem.remedy}


def _end(problems: Sequence[Problem], verified: Verified) -> str:
    if not problems and not verified.scopes:
        return "the lake is empty: no scope yet"
    if not problems and not verified.files:
        return f"the lake is empty: a log is there, and names no file; scopes: {verified.scopes:,}"
    events = counted(verified.rows["events"], "event")
    read = f"{counted(verified.files, 'file')} with {events}, scopes: {verified.scopes:,}"
    return f"{counted(len(problems), 'problem')} in {read}" if problems else f"no problems: {read}"
