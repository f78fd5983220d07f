"""An export in AWS Lambda, in as many invocations as it takes.

The environment names the lake and the regions: ``LAKE`` (an ``s3://`` address) and ``REGIONS`` (commas between). Each
invocation stops a while before Lambda would end it, commits what it has, and answers whether to go on at once;
state-machine.json asks it again while it says so.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import exporter

#: What a run takes at most to end once its deadline is over, and a cold start before it begins.
RESERVE_S = 30.0


class Context(Protocol):
    """What Lambda passes of an invocation."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """The time until Lambda ends the invocation."""


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Export until the time is nearly over. Raises what `exporter.export` raises: the invocation then fails.

    ``event`` may name a tag for all invocations of one night.
    """
    left_s = context.get_remaining_time_in_millis() / 1000 - RESERVE_S
    settings = {
        "lake": os.environ["LAKE"],
        "regions": os.environ["REGIONS"],
        "run": {"deadline_s": max(left_s, 1.0), "checkpoint_s": 60.0},
    }
    tag = str(event.get("tag") or context.aws_request_id)
    summary = exporter.export(settings, exporter.Request(tag=tag))
    return {
        "tag": tag,
        "go_on": summary["stopped_by"] == "deadline" and summary["more_to_do"],
        "outcome": summary["outcome"],
        "exit_code": summary["exit_code"],
        "events": summary["events"],
        "failures": summary["failures"][:10],
    }
