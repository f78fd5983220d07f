"""Details of participants: one GetParticipant each, in that operation's own pace, beside the events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.errors import ApiError, Malformed, Refused, ScopeLost, ShutOut
from exporter.ivs.operations import Operation
from exporter.model import Unit
from exporter.normalize.listed import decode_described
from exporter.normalize.participants import NoDetails
from exporter.pipeline.delivery import ParticipantDescribed

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.commit_log.sealing import SessionProgress
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.normalize.listed_model import DescribedParticipant

# How much later than the last events details may come, and how often it is looked whether they still come: while their
# pace is this share of the full one at least.
_LATE_S, _LOOK_S = 10.0, 1.0
_KEPT_PACE_SHARE = 0.9


def params_of(unit: Unit) -> dict[str, str]:
    """What a call about one unit asks."""
    return {"stageArn": unit.stage_arn, "sessionId": unit.session_id, "participantId": unit.participant_id}


class Details:
    """Asks for the details of one scope's participants. ``now_us`` is the service's clock.

    The mutable state: whether they are denied, which is one failure of the scope.
    """

    def __init__(self, caller: RetryingCaller, ledger: ScopeLedger, now_us: Callable[[], int]) -> None:
        self._caller = caller
        self._ledger = ledger
        self._now_us = now_us
        self._are_denied = False

    async def describe(self, progress: SessionProgress, participant_id: str) -> ParticipantDescribed | None:
        """Ask for one participant's details, or say why there are none. Raises a :class:`ScopeLost`.

        Returns None, without a call, where the participant's row was made meanwhile.
        """
        if progress.row_due(participant_id, self._now_us()) is None:
            return None
        unit = Unit(*progress.session.key, participant_id)
        try:
            page = await self._caller.call(Operation.GET_PARTICIPANT, params_of(unit))
            served_us, described = page.served_us, self._read(unit, page.items)
        except ScopeLost:
            raise
        except ApiError as error:
            served_us, described = self._now_us(), self._failed(unit, error)
        return ParticipantDescribed(progress, participant_id, described, served_us)

    async def finish(self, describing: asyncio.Task[None], waiting: int) -> None:
        """Let ``describing`` go on while it keeps its pace, for as long as those that are ``waiting`` need then."""
        pace, rate = self._caller.pace(Operation.GET_PARTICIPANT), self._caller.rate
        left_s = _LATE_S + waiting / rate
        while left_s > 0 and pace.calls_per_second >= _KEPT_PACE_SHARE * rate:
            if (await asyncio.wait((describing,), timeout=_LOOK_S))[0]:
                return
            left_s -= _LOOK_S
        describing.cancel()

    def _read(self, unit: Unit, answer: bytes) -> DescribedParticipant | NoDetails:
        """Read what GetParticipant answers. Raises :class:`Malformed`."""
        decoded = decode_described(answer)
        self._ledger.note_unknown(decoded.unknown_fields)
        for flaw in decoded.flaws:
            self._ledger.fail(unit.name, Malformed(flaw))
        return decoded.items[0] if decoded.items else NoDetails.FAILED

    def _failed(self, unit: Unit, error: ApiError) -> NoDetails:
        """Note why there are no details; that they are denied, once for the scope."""
        if isinstance(error, Refused) and error.is_not_found:
            return NoDetails.NOT_FOUND
        if isinstance(error, ShutOut) or (isinstance(error, Refused) and not error.is_for_good):
            if not self._are_denied:
                self._ledger.fail(self._ledger.name, error)
            self._are_denied = True
            return NoDetails.DENIED
        self._ledger.fail(unit.name, error)
        return NoDetails.FAILED
