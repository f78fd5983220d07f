"""What each exit code of each command means: help texts are made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.pipeline.exit_codes import FAILED, HELD, OK, PARTIAL, SIGNALS, USAGE, of_error, of_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    #: Codes that mean the same, and what they mean.
    Meaning = tuple[tuple[int, ...], str]

__all__ = ["FAILED", "HELD", "MEANINGS", "OK", "PARTIAL", "SIGNALS", "USAGE", "of_error", "of_logs", "of_run"]

_WRONG_USAGE: Meaning = ((USAGE,), "wrong usage or configuration; nothing was started")
_STOPPED: Meaning = (tuple(SIGNALS.values()), f"stopped by {', '.join(list(SIGNALS)[:-1])} or {list(SIGNALS)[-1]}")
_PARTIAL = (
    "partial: a unit, listing or scope failed, was deferred or held by another run, a session vanished, the catalog"
    " could not be brought up to date; the rest is committed"
)
_RUN: tuple[Meaning, ...] = (
    ((FAILED,), "the run failed as a whole: no credentials, no lake, every scope failed, a bug"),
    _WRONG_USAGE,
    ((PARTIAL,), _PARTIAL),
    ((HELD,), "every scope is held by another run"),
    (_STOPPED[0], f"{_STOPPED[1]}; what was fetched whole is committed; a second signal stops at once"),
)

#: The codes that each command can end with, by the command's name, in the order of its help.
MEANINGS: Mapping[str, tuple[Meaning, ...]] = {
    "doctor": (
        ((OK,), "a run would find all that it needs; or the policy is printed"),
        ((FAILED,), "a run would fail"),
        _WRONG_USAGE,
        _STOPPED,
    ),
    "run": (((OK,), "all that was found is exported, or there was nothing to do"), *_RUN),
    "scopes": (((OK,), "the accounts and regions are listed"), _WRONG_USAGE, _STOPPED),
    "status": (
        ((OK,), "the lake's state is shown"),
        ((FAILED,), "the lake can't be read, or the log of every scope is damaged"),
        _WRONG_USAGE,
        (
            (PARTIAL,),
            "some scope's log is damaged, or a configured one is not complete until --max-age-h; the others are shown",
        ),
        _STOPPED,
    ),
    "verify": (
        ((OK,), "no problems"),
        ((FAILED,), "problems, an error among the checks of the domain, or the lake can't be read"),
        _WRONG_USAGE,
        _STOPPED,
    ),
    "repair": (
        ((OK,), "verify finds nothing any more"),
        ((FAILED,), "problems are left, or the lake can't be read or written"),
        _WRONG_USAGE,
        _STOPPED,
    ),
    "publish": (
        ((OK,), "the catalog has what the lake has"),
        ((FAILED,), "nothing could be published: no catalog, no lake, a table that is not this lake's"),
        _WRONG_USAGE,
        ((PARTIAL,), "a table or a scope's part could not be published; the rest is"),
        _STOPPED,
    ),
    "query": (
        ((OK,), "the query is answered, or tables and views are listed"),
        ((FAILED,), "the lake can't be read, or the query can't be answered to its end"),
        ((USAGE,), "wrong usage or configuration, or SQL that is wrong or does more than read"),
        _STOPPED,
    ),
    "sql": (
        ((OK,), "the statements are printed"),
        ((FAILED,), "the lake can't be read, or there is none"),
        _WRONG_USAGE,
        _STOPPED,
    ),
    "report": (
        ((OK,), "the page is written"),
        ((FAILED,), "the lake can't be read, or the page can't be written; or it is, and no log can be relied on"),
        _WRONG_USAGE,
        ((PARTIAL,), "the page is written, and some log can't be relied on: it can't say what is complete"),
        _STOPPED,
    ),
    "config": (((OK,), "the template is printed, or all are listed"), _WRONG_USAGE, _STOPPED),
    "emulate": (
        ((FAILED,), "it can't serve: the port is taken, say"),
        _WRONG_USAGE,
        (_STOPPED[0], f"{_STOPPED[1]}, which is how it ends"),
    ),
    "demo": (((OK,), "the lake is made, and three questions answered"), *_RUN),
}


def of_logs(*, damaged: int, all_: int, is_late: bool = False) -> int:
    """The code of a command that shows what several logs say, of which some can't be read.

    ``is_late`` says that not all that is configured is complete until when it should be.
    """
    if damaged and damaged == all_:
        return FAILED
    return PARTIAL if damaged or is_late else OK
