"""How long a call takes to sign, here and by botocore's own signer alone, in turns: medians in microseconds.

.venv/bin/python -m benchmarks.signing
"""

from __future__ import annotations

import sys
import timeit
from statistics import median
from types import SimpleNamespace
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from exporter.ivs.signing import Signer

_URL = "https://ivsrealtime.eu-west-1.amazonaws.com/ListParticipantEvents"
_BODY = b'{"stageArn":"arn:aws:ivs:eu-west-1:111122223333:stage/abcdefghijkl","sessionId":"st-a","participantId":"p"}'
_KEYS = ("AKIAEXAMPLE", "not-a-secret", "not-a-token")
_TURNS, _CALLS = 9, 2_000


def main() -> None:
    """Measure, and say so."""
    keys: Any = SimpleNamespace(access_key=_KEYS[0], secret_key=_KEYS[1], token=_KEYS[2])
    signer, credentials = Signer("ivs", "eu-west-1"), Credentials(*_KEYS)

    def ours() -> None:
        signer.headers(_URL, _BODY, keys, "20261124T143000Z")

    def botocore() -> None:
        request = AWSRequest("POST", _URL, headers={"Content-Type": "application/json"}, data=_BODY)
        SigV4Auth(credentials, "ivs", "eu-west-1").add_auth(request)

    turns = [(_us(ours), _us(botocore)) for _ in range(_TURNS)]
    here_us, there_us = median(ours_us for ours_us, _ in turns), median(botocore_us for _, botocore_us in turns)
    ratio = median(botocore_us / ours_us for ours_us, botocore_us in turns)
    sys.stdout.write(f"ours {here_us:.0f} µs, botocore's signer {there_us:.0f} µs, {ratio:.1f} times as long\n")


def _us(work: Any) -> float:  # noqa: ANN401 - what timeit takes
    return timeit.timeit(work, number=_CALLS) / _CALLS * 1e6


if __name__ == "__main__":
    main()
