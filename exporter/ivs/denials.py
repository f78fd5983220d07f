"""When a denied operation is asked no more: that is a cause of the stage's or the scope's, not of each unit. Pure.

A permission that is missing refuses every unit alike. So an operation that a stage has refused 20 times by one code,
with no success there meanwhile, is asked no more in that stage in this run; one that three stages have refused so, or
that was refused 60 times, with no success in any stage at all, is asked no more in the scope. A permission can be taken
away while a run goes on, and it can come back: the next run asks again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from exporter.errors import ShutOut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.errors import Refused
    from exporter.ivs.operations import Operation

#: Refusals by one code, with no success in the stage since the first of them, after which it is asked no more.
STAGE_REFUSALS = 20
#: Stages that are asked no more, with no success in any, after which the scope is asked no more.
SCOPE_STAGES = 3
#: Refusals in the scope, with no success in any stage, after which it is asked no more.
SCOPE_REFUSALS = 60
_STAGES_NAMED = 10


class Denials:
    """What one operation was answered in one scope, by stage; the empty name stands for calls that name no stage.

    An operation that is shut out in a stage is asked again there only in the next run.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._granted: set[str] = set()
        self._refusals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._shut: dict[str, Refused] = {}
        self._scope: Refused | None = None

    def check(self, stage_arn: str) -> None:
        """Raise :class:`ShutOut` where the operation is not to be asked in this stage any more."""
        if refusal := self._scope or self._shut.get(stage_arn):
            raise ShutOut(f"{refusal}; {self._consequence()}", refusal.group)

    def granted(self, stage_arn: str) -> None:
        """Note a success: it opens the stage until that is refused as often again, and the scope for good."""
        self._granted.add(stage_arn)
        self._refusals.pop(stage_arn, None)
        self._shut.pop(stage_arn, None)
        self._scope = None

    def refused(self, stage_arn: str, refusal: Refused) -> bool:
        """Note a refusal, and report whether it is the one too many.

        What AWS calls invalid or not there is wrong with one unit. All else is a missing permission, or comes from
        something between here and AWS; such refusals are one group.
        """
        if refusal.is_for_good:
            return False
        refusal.group = f"{self._operation}: {refusal.code}"
        by_code = self._refusals[stage_arn]
        by_code[refusal.code] += 1
        is_shut = stage_arn not in self._shut and by_code[refusal.code] >= STAGE_REFUSALS
        if is_shut:
            self._shut[stage_arn] = refusal
        if self._scope is None and not self._granted and self._is_of_scope():
            self._scope, is_shut = refusal, True
        return is_shut

    def _is_of_scope(self) -> bool:
        refusals = sum(by_code.total() for by_code in self._refusals.values())
        return len(self._shut) >= SCOPE_STAGES or refusals >= SCOPE_REFUSALS

    def _consequence(self) -> str:
        stages = list(self._shut)
        where = ", ".join(filter(None, stages[:_STAGES_NAMED])) or "this scope"
        if rest := len(stages[_STAGES_NAMED:]):
            where += f" and {rest} stages more"
        if self._scope is not None:
            where = "this scope"
        return (
            f"asked no more in {where} in this run; stages that are shut out on purpose can be named in exclude_stages"
        )


def stage_in(params: Mapping[str, object]) -> str:
    """Name the stage of a call; "" where the call names none."""
    return str(params.get("stageArn", ""))
