"""What is drawn for a world before it begins: its sizes, its settings, its runs, and what befalls each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from exporter.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

SECOND_US = 1_000_000
HOUR_S, DAY_S = 3_600.0, 86_400.0
#: 2026-11-20T00:00:00Z: the virtual time 0.
EPOCH_US = 1_795_132_800 * SECOND_US

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("us-east-1", "eu-west-1")
HOSTS = ("anna", "bert")
#: The tables beside ``events``.
ALL_TABLES = frozenset({"stages", "sessions", "participants"})

#: What a world may have beyond the ordinary.
FEATURES = frozenset(
    {
        "kills",
        "sleeps",
        "stops",
        "api faults",
        "lake faults",
        "skewed clocks",
        "hidden sessions",
        "hidden stages",
        "moved ends",
        "shifting lists",
        "refused units",
        "stale lists",
        "vanished units",
        "absent dates",
        "far dates",
        "unlike equals",
        "undated events",
        "denied stages",
        "no conditions",
        "damage",
        "renamed stages",
        "details",
        "tables off",
        "catalog",
    }
)
#: How likely a world has a feature; what makes all else unlikely is rare.
_RARE = {
    "no conditions": 0.02,
    "damage": 0.25,
    "undated events": 0.1,
    "denied stages": 0.15,
    "refused units": 0.25,
    "stale lists": 0.2,
    "tables off": 0.2,
    "details": 0.3,
    "catalog": 0.4,
}
_USUAL = 0.35
#: The numbers of a catalog's own publications come behind those of other steps.
_PUBLICATIONS_FROM = 1_000
_COMES_LATER = 0.4


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each fault is at each call of the API, or operation of the lake.

    ``denied`` and others are decided by call: ``fails`` before anything was done, ``lost`` when it was done already.
    """

    throttled: float = 0.0
    failed: float = 0.0
    reset: float = 0.0
    silent: float = 0.0
    malformed: float = 0.0
    token_refused: float = 0.0
    lake_failed: float = 0.0
    lake_lost: float = 0.0
    stale: float = 0.0
    catalog_failed: float = 0.0
    catalog_lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command at its moment, ``at_s`` after the world began, and what befalls its process.

    ``targets`` are (stage, session, participant), with ``""`` for all. ``skew_us`` is by how much its clock is ahead.
    ``killed_after`` and ``asleep_after`` count operations of the lake and calls, or where ``is_asleep_by_changes``
    the records and data files that it makes or removes; it sleeps for ``asleep_s``, or until others have made
    ``woken_after`` such changes. ``killed_s`` and ``stopped_s`` are seconds after its start. ``tables`` are those
    that it writes beside ``events``, perhaps with ``details``; ``backfills`` says that it makes up for missing rows.
    ``rebuilds`` that ``publish`` makes each table of the catalog anew.
    """

    number: int
    kind: str
    at_s: float
    host: str
    since_us: int | None = None
    until_us: int | None = None
    targets: tuple[tuple[str, str, str], ...] = ()
    wait: bool = False
    skew_us: int = 0
    checkpoint_s: float = 300.0
    concurrency: int = 32
    calls_per_second: float = 5.0
    attempts: int = 8
    timeout_s: float = 300.0
    active_sessions: bool = True
    give_up_days: float = 30.0
    killed_after: int | None = None
    killed_s: float | None = None
    arrives_late: bool = False
    asleep_after: int | None = None
    asleep_s: float = 0.0
    is_asleep_by_changes: bool = False
    woken_after: int | None = None
    stopped_s: float | None = None
    stopped_by: str = "SIGTERM"
    faults: Faults = field(default_factory=Faults)
    dates: str = "true"
    tables: frozenset[str] = ALL_TABLES
    backfills: bool = False
    rebuilds: bool = False

    def words(self) -> str:
        """The step in words."""
        told = [f"step {self.number} at {self.at_s:.1f} s: {self.kind} on {self.host}"]
        if self.skew_us:
            told.append(f"its clock {self.skew_us / SECOND_US:.1f} s ahead")
        if self.killed_after is not None:
            told.append(f"killed after {self.killed_after} operations")
        if self.killed_s is not None:
            told.append(f"killed after {self.killed_s:.1f} s")
        if self.asleep_after is not None:
            unit = "changes" if self.is_asleep_by_changes else "operations"
            told.append(f"asleep for {self.asleep_s:.0f} s after {self.asleep_after} {unit}")
        if self.asleep_after is not None and self.woken_after is not None:
            told.append(f"or until others have made {self.woken_after} changes")
        if self.stopped_s is not None:
            told.append(f"{self.stopped_by} after {self.stopped_s:.1f} s")
        if self.faults != Faults():
            told.append("with faults")
        if self.dates != "true":
            told.append(f"answers' dates {self.dates}")
        return ", ".join((*told, *self._words_of_tables()))

    def _words_of_tables(self) -> list[str]:
        told = [f"with {', '.join(sorted(self.tables)) or 'events alone'}"] if self.tables != ALL_TABLES else []
        told += ["making up for missing rows"] if self.backfills else []
        return [*told, "making tables anew"] if self.rebuilds else told


@dataclass(frozen=True, slots=True)
class Bounds:
    """The program's own bounds, made small enough to be met."""

    waiting_size_bytes: int
    piece_size_bytes: int
    batch_size_bytes: int
    snapshot_records: int
    known_size_bytes: int
    rows_at_once: int = 1_024
    files_a_commit: int = 5_000
    lag_records: int = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """A world before it begins. ``features`` are those that it has.

    ``moments_s`` are those about which something happens at AWS: when the steps begin, also those that were cut off.
    ``sessions_mean`` is how many sessions a stage has, or so. ``steps_drawn`` is how many steps there were at first.
    A catalog, if there is one, is there from ``catalog_from_s`` on.
    """

    seed: str
    scopes: tuple[Scope, ...]
    features: frozenset[str]
    grace_s: float
    page_size: int
    is_in_order: bool
    bounds: Bounds
    steps: tuple[Step, ...]
    moments_s: tuple[float, ...]
    sessions_mean: float = 1.8
    steps_drawn: int = 0
    catalog_from_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is ever cut short, late or changed: what is unfinished then is being worked on."""
        return not self.features & {"kills", "sleeps", "stops", "lake faults", "stale lists", "damage"}

    @property
    def grace_us(self) -> int:
        """The grace time in microseconds."""
        return int(self.grace_s * SECOND_US)

    def has_catalog(self, step: Step) -> bool:
        """Whether there is a catalog when a step begins."""
        return "catalog" in self.features and step.at_s >= self.catalog_from_s

    def random(self, purpose: str) -> Random:
        """Chance for one purpose alone, so that what is cut elsewhere changes nothing here."""
        return Random(f"{self.seed}/{purpose}")


def few(random: Random, most: int, mean: float) -> int:
    """A number up to ``most`` that is mostly small."""
    return min(most, int(random.expovariate(1.0 / mean))) if mean > 0 else 0


def draw_plan(seed: str, drawn: Iterable[str] = FEATURES) -> Plan:
    """The world of a seed: ``drawn`` are the features that it may have, each with some chance."""
    random = Random(f"{seed}/plan")
    others = sorted(set(drawn) - {"catalog"})
    features = frozenset(name for name in others if random.random() < _RARE.get(name, _USUAL))
    everywhere = [Scope(account, region) for account in ACCOUNTS for region in REGIONS]
    count = random.choice((1, 1, 1, 1, 2, 2, 3))
    scopes = tuple(sorted(random.sample(everywhere, count))) if count > 1 else (everywhere[0],)
    grace_s = random.choice((900.0, 900.0, 900.0, 60.0, 0.0))
    steps = _draw_steps(random, features, grace_s)
    if "refused units" in features and random.random() < 0.6:
        steps = _day_by_day(steps)
    plan = Plan(
        seed=seed,
        scopes=scopes,
        features=features,
        grace_s=grace_s,
        page_size=random.choice((10, 20, 100) if "shifting lists" in features else (3, 5, 10, 20, 100)),
        is_in_order=random.random() < 0.15,
        bounds=_draw_bounds(random),
        steps=steps,
        moments_s=tuple(step.at_s for step in steps),
        steps_drawn=len(steps),
    )
    return with_catalog(plan) if "catalog" in drawn and plan.random("catalog").random() < _RARE["catalog"] else plan


def with_catalog(plan: Plan) -> Plan:
    """The same world with a catalog, and some publications more; nothing else is drawn otherwise."""
    random = plan.random("publications")
    steps = [replace(step, faults=_with_catalog_faults(random, step.faults)) for step in plan.steps]
    for number in range(few(random, 5, 2.0)):
        beside = random.choice(plan.steps)
        steps.append(
            Step(
                number=_PUBLICATIONS_FROM + number,
                kind="publish",
                at_s=beside.at_s + random.choice((random.uniform(0.0, 30.0), random.uniform(0.0, 2.0) * HOUR_S)),
                host=random.choice(HOSTS),
                killed_after=1 + few(random, 60, 15.0) if "kills" in plan.features and random.random() < 0.5 else None,
                faults=_with_catalog_faults(random, Faults()),
                rebuilds=random.random() < 0.2,
            )
        )
    bounds = replace(plan.bounds, files_a_commit=random.choice((1, 2, 5, 5_000)), lag_records=random.choice((0, 3, 64)))
    from_s, features = 0.0, plan.features | {"catalog"}
    if random.random() < _COMES_LATER:  # to a lake that has been there for long, and has lost files
        from_s = random.choice([step.at_s for step in plan.steps]) + HOUR_S
        if random.random() < _COMES_LATER:
            steps.append(Step(number=_PUBLICATIONS_FROM - 1, kind="damage", at_s=from_s - 1.0, host=HOSTS[0]))
            features |= {"damage"}
    if random.random() < _COMES_LATER:  # the time is over, perhaps while it publishes
        place = random.randrange(len(plan.steps))
        steps[place] = replace(steps[place], stopped_s=random.uniform(1.0, 15.0), stopped_by="deadline")
        features |= {"stops"}
    steps = sorted(
        (step for step in steps if step.kind != "publish" or step.at_s >= from_s), key=lambda step: step.at_s
    )
    return replace(
        plan,
        features=features,
        steps=tuple(steps),
        bounds=bounds,
        steps_drawn=len(steps),
        catalog_from_s=from_s,
    )


def _with_catalog_faults(random: Random, faults: Faults) -> Faults:
    likely = random.choice((0.0, 0.0, 0.05, 0.2, 0.6))
    return replace(faults, catalog_failed=likely * random.random(), catalog_lost=likely * random.random())


def draw_nights(seed: str, nights: int) -> Plan:
    """One world with so many nights, a nightly run in each, one in five of them killed."""
    random = Random(f"{seed}/nights")
    features = frozenset({"kills", "api faults", "lake faults", "hidden sessions", "skewed clocks"})
    steps = []
    for night in range(nights):
        step = _draw_step(random, features, night + 1, night * DAY_S + random.uniform(0.0, HOUR_S))
        killed_after = (step.killed_after or 30) if random.random() < 0.2 else None
        steps.append(replace(step, kind="nightly", wait=True, killed_after=killed_after, killed_s=None))
    plan = Plan(
        seed=seed,
        scopes=(Scope(ACCOUNTS[0], REGIONS[0]),),
        features=features,
        grace_s=900.0,
        page_size=20,
        is_in_order=False,
        bounds=_draw_bounds(random),
        steps=tuple(steps),
        moments_s=tuple(step.at_s for step in steps),
        sessions_mean=nights / 3.0,
        steps_drawn=nights,
    )
    return with_catalog(plan)


def _draw_bounds(random: Random) -> Bounds:
    return Bounds(
        waiting_size_bytes=random.choice((2_000, 40_000, 200_000, 12 << 20)),
        piece_size_bytes=random.choice((800, 4_000, 1 << 20)),
        batch_size_bytes=random.choice((500, 4_000, 1 << 18)),
        snapshot_records=random.choice((2, 5, 64)),
        known_size_bytes=random.choice((200, 32 << 20)),
        rows_at_once=random.choice((1, 3, 1_024)),
    )


def _draw_steps(random: Random, features: frozenset[str], grace_s: float) -> tuple[Step, ...]:
    at_s = random.uniform(0.0, 6 * HOUR_S)
    steps: list[Step] = []
    is_to_be_overtaken = False
    for number in range(1, 2 + random.choice((1, 2, 3, 3, 4, 5, 7))):
        step = _draw_step(random, features, number, at_s)
        if is_to_be_overtaken:
            step = replace(step, host=HOSTS[steps[-1].host == HOSTS[0]])
        steps.append(step)
        is_to_be_overtaken = "sleeps" in features and random.random() < 0.4
        if is_to_be_overtaken:
            # One falls asleep at any of its first changes, another overtakes it, and it wakes at any change of that.
            steps[-1] = _asleep(random, steps[-1])
            at_s += random.uniform(0.0, 3.0)
            continue
        at_s += random.choice(
            (
                random.uniform(0.0, 3.0),
                random.uniform(0.0, 60.0),
                random.uniform(0.0, 2.0) * max(grace_s, 60.0),
                random.uniform(0.0, 6.0) * HOUR_S,
                DAY_S,
            )
        )
    return tuple(steps)


def _day_by_day(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps, one each day, the last of them a refetch: what is refused is given up on the way to it."""
    days = [replace(step, at_s=step.at_s % DAY_S + day * DAY_S, give_up_days=1.0) for day, step in enumerate(steps)]
    days[:-1] = [replace(step, kind="nightly", since_us=None, until_us=None) for step in days[:-1]]
    days[-1] = replace(days[-1], kind="refetch", since_us=None, until_us=None)
    return tuple(days)


def _draw_step(random: Random, features: frozenset[str], number: int, at_s: float) -> Step:
    kind = random.choices(
        ("nightly", "backfill", "targets", "refetch", "survey", "verify", "status", "repair", "damage"),
        (10, 2, 3, 4, 1, 1, 1, 1, 3 if "damage" in features else 0),
    )[0]
    has = {name for name in sorted(features) if random.random() < 0.6}
    dates = _draw_dates(random, has)
    skew_us = int(random.uniform(-200.0, 200.0) * SECOND_US) if "skewed clocks" in has else 0
    since_us = EPOCH_US + int((at_s - random.uniform(0.0, 2.0) * DAY_S) * SECOND_US)
    is_killed_by_count = random.random() < 0.7
    # What is decided is decided by changes of the lake: a sleep from one to another meets what would hardly ever meet.
    is_asleep_by_changes = random.random() < 0.5
    asleep_after = 1 + few(random, 7, 2.0) if is_asleep_by_changes else 1 + few(random, 300, 40.0)
    return Step(
        number=number,
        kind=kind,
        at_s=at_s,
        host=random.choice(HOSTS),
        since_us=since_us if kind == "backfill" and random.random() < 0.8 else None,
        until_us=since_us + int(random.uniform(0.1, 2.0) * DAY_S * SECOND_US)
        if kind == "backfill" and random.random() < 0.6
        else None,
        wait=random.random() < 0.3,
        # Where the local clock counts, nothing tells that it is ahead.
        skew_us=skew_us if dates == "true" else -abs(skew_us),
        checkpoint_s=random.choice((0.05, 1.0, 10.0, 300.0)),
        concurrency=random.choice((1, 2, 8, 32)),
        calls_per_second=random.choice((5.0, 5.0, 50.0)),
        attempts=random.choice((2, 8)),
        timeout_s=random.choice((30.0, 300.0)),
        give_up_days=random.choice((30.0, 1.0)),
        active_sessions=random.random() < 0.9,
        killed_after=1 + few(random, 400, 40.0) if "kills" in has and is_killed_by_count else None,
        killed_s=random.expovariate(1 / 10.0) if "kills" in has and not is_killed_by_count else None,
        arrives_late=random.random() < 0.5,
        asleep_after=asleep_after if "sleeps" in has else None,
        asleep_s=random.choice((20.0, 70.0, 600.0, 5_000.0)),
        is_asleep_by_changes=is_asleep_by_changes,
        woken_after=1 + few(random, 11, 3.0) if random.random() < 0.5 else None,
        stopped_s=random.expovariate(1 / 5.0) if "stops" in has and random.random() < 0.5 else None,
        stopped_by=random.choice(("SIGTERM", "SIGINT", "deadline")),
        faults=_draw_faults(random, has),
        dates=dates,
        tables=_draw_tables(random, has),
        backfills="tables off" in features and kind == "nightly" and random.random() < 0.3,
    )


def _draw_tables(random: Random, has: set[str]) -> frozenset[str]:
    tables = {name for name in sorted(ALL_TABLES) if "tables off" not in has or random.random() < 0.5}
    return frozenset(tables | {"details"} if "details" in has and "participants" in tables else tables)


def _asleep(random: Random, step: Step) -> Step:
    """The same step, to be overtaken."""
    return replace(
        step,
        kind=random.choice(("nightly", "nightly", "refetch")),
        since_us=None,
        until_us=None,
        killed_after=None,
        killed_s=None,
        stopped_s=None,
        asleep_after=1 + few(random, 7, 2.0),
        asleep_s=5_000.0,
        is_asleep_by_changes=True,
        woken_after=1 + few(random, 11, 3.0),
    )


def _draw_faults(random: Random, has: set[str]) -> Faults:
    api = random.choice((0.01, 0.05, 0.2)) if "api faults" in has else 0.0
    lake = random.choice((0.005, 0.02, 0.1)) if "lake faults" in has else 0.0
    return Faults(
        throttled=api * random.random(),
        failed=api * random.random(),
        reset=api * random.random(),
        silent=api * random.random() * 0.2,
        malformed=api * random.random(),
        token_refused=api * random.random(),
        lake_failed=lake * random.random(),
        lake_lost=lake * random.random(),
        stale=random.random() * 0.5 if "stale lists" in has else 0.0,
    )


def _draw_dates(random: Random, has: set[str]) -> str:
    if "far dates" in has and random.random() < 0.5:
        return random.choice(("ahead", "behind", "nonsense"))
    return "absent" if "absent dates" in has and random.random() < 0.5 else "true"
