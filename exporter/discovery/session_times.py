"""Which ends of sessions are believed. Pure.

A session's end decides when nothing more is asked of it, so an end that can't be true counts as none: the session stays
open, and what it has is exported all the same. Nothing is decided by a start that would lose anything.
"""

from __future__ import annotations

from exporter.timestamps import SECOND_US, text_of

#: 2020-01-01T00:00:00Z. IVS has had stages since 2023; what lies before is some program's zero.
FIRST_US = 1_577_836_800_000_000
#: An answer's ``Date`` has whole seconds, and servers' clocks are not quite one.
TOLERANCE_US = 2 * SECOND_US


def doubt(started_us: int | None, ended_us: int | None, now_us: int) -> str:
    """Why an end that is listed at ``now_us`` can't be true; empty where it can, or where there is none.

    It must lie between 2020 and now, and not before the start. All times are in microseconds since the epoch.
    """
    if ended_us is None:
        return ""
    if ended_us < FIRST_US:
        return f"its end {text_of(ended_us)} lies before 2020"
    if ended_us > now_us + TOLERANCE_US:
        return f"its end {text_of(ended_us)} lies after now"
    if started_us is not None and ended_us < started_us:
        return f"its end {text_of(ended_us)} lies before its start {text_of(started_us)}"
    return ""


def believed_end(ended_us: int | None, now_us: int) -> int | None:
    """The end itself; None where it can't be true."""
    return None if doubt(None, ended_us, now_us) else ended_us
