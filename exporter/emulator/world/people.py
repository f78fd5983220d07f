"""The people of a seeded world: who they are in their customer's own system, and who of them takes part in what.

A person comes back: the same one, under the same user id, takes part in many sessions of the stages of one crowd.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.emulator.world.draws import draw

if TYPE_CHECKING:
    from exporter.emulator.world.texts import Texts

_FIRST_NAMES = (
    *("ada", "amir", "ana", "ben", "chen", "clara", "dana", "diego", "emil", "fatou", "grace", "hana", "ines"),
    *("ivan", "jonas", "june", "kofi", "lena", "leo", "luca", "maya", "mia", "noah", "nora", "olga", "omar"),
    *("priya", "rosa", "sam", "sofia", "tariq", "tom", "wei", "yuki", "zoe"),
)
_LAST_NAMES = (
    *("adeyemi", "almeida", "andersson", "bauer", "brown", "costa", "diallo", "dubois", "fischer", "garcia", "gupta"),
    *("haddad", "ivanova", "jensen", "kim", "kowalski", "lee", "lopez", "martin", "mbeki", "mueller", "nakamura"),
    *("novak", "okafor", "patel", "reyes", "rossi", "sato", "schmidt", "silva", "singh", "smith", "tanaka", "wang"),
)
_NAMES = len(_FIRST_NAMES) * len(_LAST_NAMES)
# A prime, so that neighbours in number share no name, and all names are used.
_STRIDE = 7_919
# How many of a hundred are on a plan, and in a country: the shares up to and with each.
_PLANS = ((55, "free"), (85, "plus"), (96, "pro"), (100, "team"))
_COUNTRIES = ((30, "US"), (45, "DE"), (57, "IN"), (68, "BR"), (78, "GB"), (86, "FR"), (94, "JP"), (100, "ES"))
# Every third stage draws from the same crowd. Two of a crowd share an index, and one of them comes.
_CROWDS = 3
_PER_INDEX = 2


@dataclass(frozen=True, slots=True)
class Person:
    """One who uses the customer's application. ``seed`` is the person's own; ``country`` is an ISO 3166 code."""

    seed: int
    user_id: str
    name: str
    plan: str
    country: str


@dataclass(frozen=True, slots=True)
class People:
    """All people of a world, whose seed is ``seed``."""

    seed: int
    texts: Texts

    def attending(self, stage: int, session_seed: int, index: int) -> Person:
        """Who the participant with this index is, in a session with this seed.

        Nobody takes part twice in one session, but for the few who do so with a second device.
        """
        has_second_device = index > 0 and draw(session_seed, b"second device", index) % 40 == 0
        at = index - 1 if has_second_device else index
        which = draw(session_seed, b"who", at) % _PER_INDEX
        return self.person((_PER_INDEX * at + which) * _CROWDS + stage % _CROWDS)

    def person(self, number: int) -> Person:
        """The person with this number. No two have the same user id, unless it is a hostile one."""
        seed = draw(self.seed, b"person", number)
        turn, name = divmod(number, _NAMES)
        last, first = divmod((name * _STRIDE + self.seed) % _NAMES, len(_FIRST_NAMES))
        full = (_FIRST_NAMES[first], _LAST_NAMES[last])
        return Person(
            seed=seed,
            user_id=self.texts.hostile(seed) or ".".join(full) + (str(turn + 1) if turn else ""),
            name=" ".join(full).title(),
            plan=share_of(_PLANS, draw(seed, b"plan")),
            country=share_of(_COUNTRIES, draw(seed, b"country")),
        )


def share_of(shares: tuple[tuple[int, str], ...], number: int) -> str:
    """The text whose share of a hundred a draw falls into; each stands beside the sum of the shares up to its own."""
    percent = number % 100
    return next(text for most, text in shares if percent < most)
