"""What the name of a list's column says. Pure.

One rule for both ids: a name resembles ``session_id`` or ``participant_id`` where its words are that noun alone or
with words that only say which one (``active``, ``last``), or where the noun, or one of its kin (``user``, ``viewer``),
stands with a word for an identifier. A word for something else (``name``, ``count``, ``region``), or a
plural, makes it another thing. What is only misspelt resembles them, too.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

COLUMNS = ("stage_arn", "session_id", "participant_id")

#: The nouns of the two ids; ``jti`` is a token's, which is the participant's.
#: Source: IVS Real-Time User Guide.
_NOUNS = {"session_id": frozenset({"session", "sess"}), "participant_id": frozenset({"participant", "jti"})}
#: What may be the same thing: it says so with a word for an identifier beside it.
_KIN = {
    "session_id": frozenset({"broadcast", "meeting", "conference", "stream", "livestream", "call"}),
    "participant_id": frozenset(
        {
            "user",
            "publisher",
            "subscriber",
            "viewer",
            "member",
            "attendee",
            "guest",
            "listener",
            "peer",
            "client",
            "identity",
            "uid",
        }
    ),
}
_NUMBERS = frozenset({"number", "no", "num", "nr"})
# What says, beside a plural, that it is a count.
_COUNTING = _NUMBERS | {"max", "min"}
_IDENTIFIERS = frozenset({"id", "arn", "urn", "uid", "uuid", "guid", "identifier", "key", "ref", "hash", *_NUMBERS})
_QUALIFIERS = frozenset(
    {
        *("active", "current", "live", "recent", "first", "last", "latest", "newest", "oldest", "new", "old", "next"),
        *("previous", "prev", "original", "main", "parent", "related", "selected", "chosen", "any", "max", "min"),
        *("source", "src", "destination", "dest", "remote", "local", "target", "from", "to", "for", "of", "in"),
        *("ivs", "aws", "stage", "my", "our", "the", "this"),
    }
)
#: What makes a name that of something else.
_OTHER_THINGS = frozenset(
    {
        *("name", "title", "label", "note", "comment", "description", "text", "message", "tag", "topic"),
        *("count", "total", "sum", "average", "avg", "mean", "peak", "per", "rate", "limit", "cap", "quota"),
        *("start", "started", "begin", "began", "end", "ended", "date", "day", "week", "month", "year", "time", "at"),
        *("hour", "minute", "second", "timestamp", "timezone", "duration", "length", "size", "age", "expected"),
        *("type", "kind", "class", "category", "state", "status", "role", "level", "plan", "tier", "price", "cost"),
        *("region", "country", "city", "location", "language", "zone", "room", "host", "center", "season"),
        *("agent", "browser", "os", "sdk", "protocol", "device", "platform", "version", "ip", "address"),
        *("group", "team", "pool", "policy", "account", "owner", "email", "phone", "by", "created", "updated"),
        *(
            "is",
            "has",
            "managed",
            "enabled",
            "allowed",
            "published",
            "config",
            "configuration",
            "setting",
            "url",
            "uri",
        ),
        *("recording", "composition", "channel", "storage", "bucket", "prefix", "path", "run", "extra", "error"),
        *("summary", "hours", "minutes", "seconds", "watch", "code", "reason"),
    }
)
# A stream's key is a password of IVS's, and chooses nothing.
_NEITHER = frozenset({"streamkey"})
#: What people call the three; where it is misspelt by a letter and long, too.
_NAMES = {
    "stage_arn": ("stage", "stageid", "arn", "stageurn", "stages", "stageids", "arns"),
    "session_id": ("session", "sid", "sess", "sessid", "sesid", "stagesession", "sids", "sessids"),
    "participant_id": ("participant", "pid", "partid", "pids", "partids"),
}
_FLAT = {"stage_arn": "stagearn", "session_id": "sessionid", "participant_id": "participantid"}
#: Columns of this lake's tables, and members of AWS's answers, that resemble the stage and mean another.
_OTHER_STAGES = frozenset({"destinationstagearn", "sourcestagearn", "stagename", "stagetags"})

_ALL_NOUNS = frozenset().union(*_NOUNS.values(), *_KIN.values())
_VOCABULARY = _ALL_NOUNS | _IDENTIFIERS | _QUALIFIERS | _OTHER_THINGS
_WORD = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LENGTH_OF_LOOSE_NAMES = 7
_NAME_LENGTH_MAX = 200


def flat(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return "".join(filter(str.isalnum, name.lower()))


def misspelt(name: str) -> str | None:
    """Which of the three columns a name is meant for, by its look; None where it is one of them, or another thing."""
    whole = flat(name)
    if whole in _FLAT.values() or whole in _OTHER_STAGES:
        return None
    if "stagearn" in whole:
        return "stage_arn"
    words = _words(name)
    if is_of_another_thing(name) or is_plural(name):
        return None
    return next((column for column in COLUMNS if _is_meant_for(whole, words, column)), None)


def resembles(name: str, column: str, there: Collection[str]) -> bool:
    """Whether a name resembles ``column``, one of the two ids, in a list that has the columns ``there``.

    A person alone (``viewer``) says which participant where the rows say in which session, and nothing elsewhere.
    """
    words = _words(name)
    if is_of_another_thing(name):
        return False
    identifiers = words & _IDENTIFIERS
    if _plurals(name):  # `number_of_viewers` is a count, `users_id` is none
        return bool(identifiers - _NUMBERS) and bool(words & (_NOUNS[column] | _KIN[column]))
    beside = _QUALIFIERS | _ALL_NOUNS
    if words & _NOUNS[column]:
        return bool(identifiers) or words <= beside
    kin = words & _KIN[column]
    if kin and identifiers - kin:
        return True
    return bool(kin) and column == "participant_id" and "session_id" in there and words <= beside


def is_plural(name: str) -> bool:
    """Whether a name is that of several things with an id, such as ``sessions`` or ``max_viewers``: a count of them."""
    return bool(_plurals(name)) and not _words(name) & (_IDENTIFIERS - _NUMBERS)


def counted_column(name: str) -> str | None:
    """Which of the two ids a column that is called ``sessions`` or ``participants`` would hold, were it no count."""
    if is_of_another_thing(name) or not is_plural(name) or _words(name) & _COUNTING:
        return None
    return next((column for column, nouns in _NOUNS.items() if _plurals(name) & nouns), None)


def is_of_another_thing(name: str) -> bool:
    """Whether a name says that its column holds neither of the two ids."""
    return flat(name) in _NEITHER or bool(_words(name) & _OTHER_THINGS)


def _is_meant_for(whole: str, words: frozenset[str], column: str) -> bool:
    if column == "stage_arn":
        has_words = "stage" in words and bool(words & _IDENTIFIERS - _NUMBERS) and not words & _ALL_NOUNS
    else:
        has_words = bool(words & _NOUNS[column]) and words <= _NOUNS[column] | _IDENTIFIERS
    if has_words or _is_near(whole, _FLAT[column]):
        return True
    return any(
        whole == known or (len(known) >= _LENGTH_OF_LOOSE_NAMES and distance(whole.removesuffix("s"), known) <= 1)
        for known in _NAMES[column]
    )


def _is_near(whole: str, meant: str) -> bool:
    """Whether some slips of the pen lie between two names: more where the first letter is right, and the name long."""
    most = 1 if whole[:1] != meant[:1] else (len(meant) - 1) // 4
    return distance(whole, meant, most) <= most


def distance(one: str, other: str, most: int = 1) -> int:
    """How many letters were left out, added, exchanged or swapped; ``most`` + 1 where it is clearly more.

    It is the distance of Damerau and Levenshtein, in its form without a second change of what was swapped.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for row_number, letter in enumerate(one, 1):
        before, last, row = row, before, [row_number]
        for index, wanted in enumerate(other, 1):
            cost = min(before[index] + 1, row[-1] + 1, before[index - 1] + (letter != wanted))
            if index > 1 and row_number > 1 and letter == other[index - 2] and one[row_number - 2] == wanted:
                cost = min(cost, last[index - 2] + 1)
            row.append(cost)
    return row[-1]


def _words(name: str) -> frozenset[str]:
    """A name's words, in small letters; those that are known in the singular."""
    return frozenset(_singular(word) for word in _pieces(name))


def _plurals(name: str) -> frozenset[str]:
    """The nouns that a name has in the plural, in the singular."""
    words = {word: _singular(word) for word in _pieces(name)}
    return frozenset(single for word, single in words.items() if word != single and single in _ALL_NOUNS)


def _singular(word: str) -> str:
    return word[:-1] if word not in _VOCABULARY and word[-1:] == "s" and word[:-1] in _VOCABULARY else word


def _pieces(name: str) -> Iterator[str]:
    """A name's words; one that is known words written together (``userid``) is each of them."""
    for found in _WORD.findall(name[:_NAME_LENGTH_MAX]):
        yield from _parts(found.lower()) or (found.lower(),)


@cache
def _known() -> frozenset[str]:
    return _VOCABULARY | {word + "s" for word in _VOCABULARY}


def _parts(word: str) -> tuple[str, ...]:
    """The known words that a word is made of, the longest first; none where something is left over."""
    ends: dict[int, tuple[str, ...]] = {len(word): ()}
    for start in range(len(word) - 1, -1, -1):
        for end in range(len(word), start, -1):
            if end in ends and word[start:end] in _known():
                ends[start] = (word[start:end], *ends[end])
                break
    return ends.get(0, ())
