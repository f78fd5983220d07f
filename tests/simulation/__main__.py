"""``python -m tests.simulation``: worlds, a year of nights, or defects put back. See ``scripts/simulate``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial

from tests.simulation.defects import DEFECTS
from tests.simulation.looking import is_broken, looked_at, plan_named, use_one_thread, worlds_until_found
from tests.simulation.plan import draw_nights
from tests.simulation.shrink import name_of, shrink, words
from tests.simulation.world import Told, live

_TOLD_EVERY = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description="Simulate worlds, and look for broken laws.")
    parser.add_argument("--worlds", type=int, default=1_000, help="so many; of --defects, at most")
    parser.add_argument("--seed", default="1", help="another one, other worlds")
    parser.add_argument("--processes", type=int, default=2, help="so many worlds at once")
    parser.add_argument("--world", metavar="SEED", help="this one world again, with its last steps in words")
    parser.add_argument("--nights", type=int, default=0, help="one world with so many nightly runs, some killed")
    parser.add_argument("--defects", nargs="?", const="", metavar="NAME", help="put each defect back, and find it")
    given = parser.parse_args()
    use_one_thread()
    if given.world is not None:
        return _tell(live(plan_named(given.world)))
    if given.nights:
        return _nights(given.seed, given.nights)
    if given.defects is not None:
        return _defects(given.seed, given.defects, given.worlds, given.processes)
    return _worlds(given.seed, given.worlds, given.processes)


def _worlds(seed: str, count: int, processes: int) -> int:
    """Live through so many worlds; 1 at the first that breaks a law."""
    began_s = time.monotonic()
    _say(f"{count} worlds, {seed}-0 to {seed}-{count - 1}")
    names = [f"{seed}-{number}" for number in range(count)]
    for done, (name, is_wrong) in enumerate(looked_at(is_broken, names, processes), 1):
        if is_wrong:
            return _tell(live(plan_named(name)))
        if done % _TOLD_EVERY == 0:
            _say(f"{done} worlds, {time.monotonic() - began_s:.0f} s")
    _say(f"no law broken, {time.monotonic() - began_s:.0f} s")
    return 0


def _nights(seed: str, nights: int) -> int:
    plan = draw_nights(seed, nights)
    killed = sum(step.killed_after is not None for step in plan.steps)
    _say(f"{nights} nights, {killed} of them to be killed")
    return _tell(live(plan))


def _defects(seed: str, part: str, worlds_max: int, processes: int) -> int:
    """Put back each defect whose name has this part, and say of each when it is known; 1 where one is not found."""
    defects = {f"{seed}/{each.name}": each for each in DEFECTS if part in each.name}
    are_found = True
    _say("| defect | put back | worlds | law |\n| --- | --- | --- | --- |")
    for name, (worlds, law) in looked_at(partial(worlds_until_found, worlds_max), list(defects), processes):
        are_found &= worlds > 0
        _say(f"| {defects[name].name} | {defects[name].sentence} | {worlds or 'not found'} | {law} |")
    return int(not are_found)


def _tell(told: Told) -> int:
    """Say what is wrong with a world, as shortly as it can be told; 1 where something is."""
    _say(f"world {name_of(told.plan)}: {told.finding or 'no law broken'} ({len(told.trace)} steps, {told.digest[:16]})")
    if told.finding is None:
        return 0
    for line in words(shrink(told)):
        _say(line)
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # a set of texts has the same order each time then
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606 - this very program
    code = main()
    sys.stdout.flush()
    # Arrow's pool, made smaller than it was, now and then ends a process with SIGABRT while Python takes it down.
    os._exit(code)
