"""What a run does, as spans: the one hook that its steps have for traces. Without a tracer a span is nothing."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    #: What may stand in a span; None is left out.
    Attribute = str | int | None


class Tracer(Protocol):
    """Who takes the spans of a run."""

    def span(self, name: str, attributes: Mapping[str, Attribute]) -> AbstractContextManager[None]:
        """Begin a span within the one that goes on in this task, and end it with the block.

        It never raises by itself: an error of the block passes through.
        """
        ...


_NOTHING = nullcontext()
_tracer: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[None]:
    """Make a span of a block: ``run``, ``scope``, ``checkpoint`` or ``call``, with what is known of it."""
    tracer = _tracer.get()
    return _NOTHING if tracer is None else tracer.span(name, attributes)


@contextmanager
def traced(tracer: Tracer) -> Iterator[None]:
    """Let ``tracer`` take the spans of this block, and of the tasks that begin in it."""
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)
