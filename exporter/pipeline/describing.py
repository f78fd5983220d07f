"""Asks for the details of participants, one call each, in that operation's own pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import ApiError, Malformed, Refused, ScopeLost, ShutOut
from exporter.ivs.operations import Operation
from exporter.model import Unit
from exporter.normalize.listed import decode_described
from exporter.normalize.participants import NoDetails
from exporter.pipeline.delivery import ParticipantDescribed
from exporter.pipeline.fetch import params_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.commit_log.sealing import SessionProgress
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.normalize.listed_model import DescribedParticipant


class Describer:
    """Asks for the details of one scope's participants. ``now_us`` is the service's clock.

    The mutable state: whether a failure says already that the details are denied.
    """

    def __init__(self, caller: RetryingCaller, ledger: ScopeLedger, now_us: Callable[[], int]) -> None:
        self._caller = caller
        self._ledger = ledger
        self._now_us = now_us
        self._is_denial_noted = False

    async def describe(self, progress: SessionProgress, participant_id: str) -> ParticipantDescribed | None:
        """Ask for a participant's details; where there are none, return the reason.

        Returns None, without a call, where the participant's row was committed meanwhile. Raises a :class:`ScopeLost`;
        any other failure is noted.
        """
        if progress.row_due(participant_id, self._now_us()) is None:
            return None
        unit = Unit(*progress.session.key, participant_id)
        try:
            page = await self._caller.call(Operation.GET_PARTICIPANT, params_of(unit))
            served_us, described = page.served_us, self._described(unit, page.items)
        except ScopeLost:
            raise
        except ApiError as error:
            served_us, described = self._now_us(), self._not_described(unit, error)
        return ParticipantDescribed(progress, participant_id, described, served_us)

    def _described(self, unit: Unit, answer: bytes) -> DescribedParticipant | NoDetails:
        """Read what GetParticipant answers. Raises :class:`Malformed`."""
        decoded = decode_described(answer)
        self._ledger.note_unknown(decoded.unknown_fields)
        for flaw in decoded.flaws:
            self._ledger.fail(unit.name, Malformed(flaw))
        return decoded.items[0] if decoded.items else NoDetails.FAILED

    def _not_described(self, unit: Unit, error: ApiError) -> NoDetails:
        """Note why there are no details; that they are denied, once for the scope."""
        if isinstance(error, Refused) and error.is_not_found:
            return NoDetails.NOT_FOUND
        if isinstance(error, ShutOut) or (isinstance(error, Refused) and not error.is_for_good):
            if not self._is_denial_noted:
                self._ledger.fail(self._ledger.name, error)
            self._is_denial_noted = True
            return NoDetails.DENIED
        self._ledger.fail(unit.name, error)
        return NoDetails.FAILED
