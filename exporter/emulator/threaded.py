"""An emulator in a thread of its own, for programs and tests that have no event loop."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar

from exporter.emulator.server import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from exporter.emulator.options import EmulatorOptions
    from exporter.emulator.world.world import World

_Seen = TypeVar("_Seen")


class EmulatorThread:
    """Serves an emulator while it is entered, as a context manager.

    ``emulator`` is looked at and changed through :meth:`ask` alone, for it lives in its own thread. ``environment``
    holds the variables of AWS that lead a client to it, with the keys of its first account.
    """

    def __init__(
        self, options: EmulatorOptions | None = None, worlds: Mapping[tuple[str, str], World] | None = None
    ) -> None:
        self.emulator = Emulator(options, worlds)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="IVS emulator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self.emulator.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            self._run(self.emulator.__aexit__())
        finally:
            self._end()

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.emulator.url

    @property
    def environment(self) -> dict[str, str]:
        """The variables of AWS that lead a client here."""
        account, region = self.emulator.options.accounts[0], next(iter(self.emulator.regions), "us-east-1")
        return {
            "AWS_ENDPOINT_URL_IVS_REALTIME": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ACCESS_KEY_ID": account.access_key,
            "AWS_SECRET_ACCESS_KEY": account.secret,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }

    def ask(self, look: Callable[[Emulator], _Seen]) -> _Seen:
        """What ``look`` returns or raises, called in the emulator's thread, between any two answers."""

        async def looked() -> _Seen:
            return look(self.emulator)

        return self._run(looked())

    def advance(self, seconds: float) -> None:
        """Let this many seconds of the emulator's time pass at once."""
        self.ask(lambda emulator: emulator.clock.advance(seconds))

    def set_faults(self, *faults: str) -> None:
        """Have these faults from now on, and no others. Raises ValueError for one that is none."""
        self.ask(lambda emulator: emulator.faults.replace(list(faults)))

    def truth(self, table: str = "events") -> list[dict[str, Any]]:
        """What a complete export of a table would hold now, row by row, as `/_emulator/truth` shows it."""
        return self.ask(lambda emulator: [row._asdict() for row in emulator.truth().table(table)])

    def calls(self) -> dict[str, int]:
        """How many calls of each operation were granted so far."""
        return self.ask(lambda emulator: dict(emulator.calls.granted))

    def _run(self, work: Coroutine[Any, Any, _Seen]) -> _Seen:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
