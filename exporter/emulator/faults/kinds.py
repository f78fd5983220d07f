"""The texts that say what shall go wrong: ``KIND [NAME=VALUE ...]``, parts separated by spaces.

::

    throttle operation=ListParticipantEvents p=0.1 retry_after_s=2    one call of ten, by chance
    throttle status=400 code=TooManyRequestsException every=7         every seventh call
    server_error status=503 times=2                                   of each page the first two tries
    reset first=20                                                    the first twenty calls
    denied stage=AbCd                                                 always, for stages whose ARN holds AbCd
    wrong_types units=3/10 p=0.05                                     of every tenth unit one event of twenty
    wrong_types operation=ListParticipants member=userId p=0.1        one listed participant of ten

Which calls: ``operation=``, ``stage=``, ``session=`` and ``participant=`` (a part of the ARN or id), and ``units=K/N``,
the participants whose hash leaves K when divided by N. How often: always, or ``p=`` (a chance, the same in each run),
``first=N`` (the first N of these calls), ``every=N`` (each Nth), ``times=N`` (the first N tries of each page). A call
meets the fault only where all conditions of its text hold.

A fault of the data (see `KINDS`) belongs to what is shown, not to the calls: to the events, or to the items of the
``operation=`` that it names: ListStages, ListStageSessions, ListParticipants, or GetParticipant, whose participant is
one. It takes ``stage=``, ``session=``, ``participant=``, ``units=`` and ``p=`` (of the events or items).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from exporter.emulator.faults.members import EVENTS, OPERATIONS_OF, values_of
from exporter.emulator.protocol.request_rules import OPERATIONS
from exporter.emulator.world.draws import draw_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What a fault changes: how the connection ends, what is answered, which pages a list has, or what events say.
Group = Literal["connection", "answer", "paging", "data"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault. ``parameters`` are those of its effect; those that choose the calls come on top."""

    group: Group
    description: str
    parameters: tuple[str, ...] = ()


KINDS: Mapping[str, FaultKind] = {
    "slow": FaultKind("connection", "answers after seconds= (default 1) of real time", ("seconds",)),
    "silence": FaultKind("connection", "accepts the call and never answers"),
    "reset": FaultKind("connection", "closes the connection without an answer"),
    "cut": FaultKind("connection", "closes the connection in the middle of the body, whose Content-Length says more"),
    "throttle": FaultKind(
        "answer",
        "throttled: status= (default 429), code= (default ThrottlingException; none: no name), retry_after_s=",
        ("status", "code", "retry_after_s"),
    ),
    "server_error": FaultKind("answer", "a gateway's HTML error page: status= (default 500)", ("status",)),
    "cut_json": FaultKind("answer", "the first half of the right body, with the right length"),
    "bad_json": FaultKind("answer", "status 200 and a body that is not JSON"),
    "empty_body": FaultKind("answer", "status 200 and no body"),
    "html": FaultKind("answer", "status 200 and an HTML page"),
    "empty_object": FaultKind("answer", "status 200 and {}"),
    "not_an_object": FaultKind("answer", "status 200 and []"),
    "null_list": FaultKind("answer", "status 200 and null in place of the list"),
    "expired_token": FaultKind("answer", "ExpiredTokenException: the credentials have expired"),
    "denied": FaultKind("answer", "AccessDeniedException"),
    "not_found": FaultKind("answer", "ResourceNotFoundException"),
    "invalid": FaultKind("answer", "ValidationException"),
    "token_refused": FaultKind("answer", "a good page token is refused with ValidationException"),
    "token_repeats": FaultKind("paging", "nextToken never changes after the first page"),
    "endless": FaultKind("paging", "there is always another nextToken; the list begins again"),
    "empty_pages": FaultKind("paging", "before each page comes one without items, but with a nextToken"),
    "unknown_fields": FaultKind("data", "unknown members in events and tokens, and unknown event names; or in items"),
    "wrong_types": FaultKind(
        "data", "a known member of an event or item, member= if it is named, has another JSON type", ("member",)
    ),
    "no_time": FaultKind("data", "the time of an event (or of an item: its start, its first joining) can't be read"),
    "foreign_participant": FaultKind("data", "an event's participantId is not the one asked for"),
}


@dataclass(frozen=True, slots=True)
class FaultMatch:
    """Which calls a fault may meet, or whose events; None matches all.

    ``stage``, ``session`` and ``participant`` are parts of the ARN or id. ``units`` is (K, N): the participants whose
    hash leaves K when divided by N.
    """

    operation: str | None = None
    stage: str | None = None
    session: str | None = None
    participant: str | None = None
    units: tuple[int, int] | None = None

    def has_unit(self, stage_arn: str, session_id: str, participant_id: str) -> bool:
        """Whether the ids match; an id is ``""`` where the call has none, and then no condition on it holds."""
        if self.units is not None:
            rest, divisor = self.units
            if not participant_id:
                return False
            if draw_text(0, b"unit", f"{stage_arn}/{session_id}/{participant_id}") % divisor != rest:
                return False
        return (
            (self.stage is None or self.stage in stage_arn)
            and (self.session is None or self.session in session_id)
            and (self.participant is None or self.participant in participant_id)
        )


@dataclass(frozen=True, slots=True)
class FaultFrequency:
    """How many of the matching calls a fault meets; None sets no limit, and all limits must hold.

    ``p`` is a chance from 0 to 1; for a fault of the data it is that of an event. ``first`` counts calls, ``every``
    picks each Nth call, ``times`` counts the tries of a page.
    """

    p: float | None = None
    first: int | None = None
    every: int | None = None
    times: int | None = None

    @property
    def counts_tries(self) -> bool:
        """Whether it matters how often a page was asked for before."""
        return self.times is not None or self.p is not None

    def allows(self, call: int, attempt: int, chance: Callable[[], float]) -> bool:
        """Whether the matching call of this number, from 1, is met at this try of its page, from 0.

        ``chance`` draws the call's number in [0, 1).
        """
        return (
            (self.first is None or call <= self.first)
            and (self.every is None or call % self.every == 0)
            and (self.times is None or attempt < self.times)
            and (self.p is None or chance() < self.p)
        )


@dataclass(frozen=True, slots=True)
class FaultEffect:
    """The parameters of what a fault does; None leaves the kind's own default."""

    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    seconds: float | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, read from its text: what it does, which calls or events it matches, and how often it meets them."""

    text: str
    kind: str
    match: FaultMatch
    frequency: FaultFrequency
    effect: FaultEffect

    @property
    def group(self) -> Group:
        """What the fault changes."""
        return KINDS[self.kind].group

    @property
    def data_operation(self) -> str:
        """For a fault of the data the operation whose items it changes: those that show events, unless it names one."""
        return self.match.operation or EVENTS

    @property
    def replaces_answer(self) -> bool:
        """Whether the fault is all that the call is answered."""
        return self.group == "answer" or (self.group == "connection" and self.kind != "slow")


def kinds() -> list[tuple[str, str]]:
    """Every kind with what it does, in one line each, for a command's help."""
    return [(name, kind.description) for name, kind in KINDS.items()]


def parse_fault(text: str) -> Fault:
    """Read a fault. Raises ValueError with what is wrong with the text."""
    kind, *parts = text.split() or [""]
    if kind not in KINDS:
        raise ValueError(f"fault {text!r}: there is no kind {kind!r}, but {', '.join(KINDS)}")
    values: dict[str, Any] = {}
    for part in parts:
        name, separator, value = part.partition("=")
        if not separator or not value:
            raise ValueError(f"fault {text!r}: {part!r} is not NAME=VALUE")
        if name in values:
            raise ValueError(f"fault {text!r}: {name} is there twice")
        if name not in _names_of(kind):
            raise ValueError(f"fault {text!r}: {kind} takes {', '.join(_names_of(kind))}, not {name!r}")
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            raise ValueError(f"fault {text!r}: {name}={value} {error}") from None
    fault = Fault(
        text,
        kind,
        FaultMatch(**_values_of(FaultMatch, values)),
        FaultFrequency(**_values_of(FaultFrequency, values)),
        FaultEffect(**_values_of(FaultEffect, values)),
    )
    if fault.group == "data":
        _check_data(fault)
    return fault


def _check_data(fault: Fault) -> None:
    """Raises ValueError where the fault's operation has no such data."""
    operation, member = fault.data_operation, fault.effect.member
    if operation not in OPERATIONS_OF[fault.kind]:
        raise ValueError(f"fault {fault.text!r}: {fault.kind} is of {', '.join(OPERATIONS_OF[fault.kind])}")
    if not values_of(operation, member):
        raise ValueError(f"fault {fault.text!r}: {operation} has no member {member!r} to change")


def _values_of(part: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(part)}
    return {name: value for name, value in values.items() if name in names}


def _names_of(kind: str) -> tuple[str, ...]:
    choosing = _CHOOSING_DATA if KINDS[kind].group == "data" else _CHOOSING_CALLS
    return choosing + KINDS[kind].parameters


_CHOOSING_DATA = ("stage", "session", "participant", "units", "p", "operation")
_CHOOSING_CALLS = (*_CHOOSING_DATA, "first", "every", "times")


def _operation(text: str) -> str:
    if text not in OPERATIONS:
        raise ValueError(f"is none of {', '.join(OPERATIONS)}")
    return text


def _units(text: str) -> tuple[int, int]:
    rest, separator, divisor = text.partition("/")
    if not separator or not rest.isdecimal() or not divisor.isdecimal() or int(rest) >= int(divisor):
        raise ValueError("is not K/N with K below N")
    return int(rest), int(divisor)


def _chance(text: str) -> float:
    value = _seconds(text)
    if value > 1.0:
        raise ValueError("is not a chance from 0 to 1")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise ValueError("is not a number of 0 or more")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("is not a count of 1 or more")
    return int(text)


def _status(text: str) -> int:
    if not text.isdecimal() or int(text) not in range(400, 600):
        raise ValueError("is not a status from 400 to 599")
    return int(text)


_READERS: Mapping[str, Callable[[str], object]] = {
    "operation": _operation,
    "stage": str,
    "session": str,
    "participant": str,
    "units": _units,
    "p": _chance,
    "first": _count,
    "every": _count,
    "times": _count,
    "status": _status,
    "code": str,
    "retry_after_s": _seconds,
    "seconds": _seconds,
    "member": str,
}
