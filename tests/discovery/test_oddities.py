from __future__ import annotations

from exporter.discovery.oddities import Oddities
from tests.support.logs import capture_logs

MISSING, ENDS = "participants are missing", "ends can't be true"


def test_a_bad_night_is_a_line_for_each_kind_and_all_of_it_at_debug() -> None:
    """Thousands of lists that lack somebody are one warning, with a count and the first three; the rest is debug's."""
    oddities = Oddities("111122223333/us-east-1")
    with capture_logs() as logs:
        for number in range(2_000):
            oddities.note(MISSING, f"st-{number}", [f"st-{number}/p1", f"st-{number}/p2"])
        oddities.note(ENDS, "a", ["st-7"])
        oddities.report()
        oddities.report()
    warned = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["count"], line["lists"]) for line in warned] == [(MISSING, 4_000, 2_000), (ENDS, 1, 1)]
    assert warned[0]["first"] == ["st-0/p1", "st-0/p2", "st-1/p1"]
    assert {line["log_level"] for line in logs if line not in warned} == {"debug"}
    assert len(logs) == 2_001 + len(warned)
