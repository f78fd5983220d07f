"""Which files are merged, what a compacted one is called and says, and what of it is not believed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from exporter.catalog.changes import LoggedFile
from exporter.catalog.compacted import ORIGINALS_KEY, Part, TablePlaces, originals_in, originals_text
from exporter.catalog.compaction import Merge, batches_of, merges_of
from exporter.errors import FileDamaged
from exporter.lake.tables.events import EVENTS
from tests.support.service import SCOPE

PLACES = TablePlaces(EVENTS, "s3://b/lake", "s3://b/lake/_iceberg/events", "ab12")
DAY = "2026-11-23"
NAME = f"{SCOPE}-{1:09d}-r-{1:06d}.parquet"
OWN = f"s3://b/lake/_iceberg/events/data/ab12/event_date={DAY}/001795000000-3-900-0123456789abcdef.parquet"


def part(number: int, size_bytes: int, day: str = DAY, originals: int = 1) -> Part:
    return Part(f"{number:04d}", day, 10, size_bytes, originals)


def sizes(merges: list[Merge]) -> list[list[int]]:
    return [[part.size_bytes for part in merge.parts] for merge in merges]


def test_small_files_of_a_date_become_one_and_large_ones_stay() -> None:
    """Near the target is large enough, a date never meets another, one alone has nobody to be merged with."""
    parts = [part(1, 30), part(2, 75), part(3, 30), part(4, 50), part(5, 40), part(6, 10, "2026-11-24")]
    assert sizes(merges_of(parts, 100)) == [[30, 30, 40]]
    assert sizes(merges_of([*parts, part(7, 10, "2026-11-24")], 100)) == [[30, 30, 40], [10, 10]]
    assert sizes(merges_of([part(1, 10, originals=600), part(2, 10, originals=500), part(3, 10)], 100)) == [[10, 10]]


def test_a_second_plan_finds_nothing() -> None:
    """Whatever the files are: no two results fit together, nor one and what was left."""
    chance = random.Random(7)
    for _ in range(200):
        days = chance.choices(["2026-11-22", DAY], k=40)
        parts = [part(number, chance.randint(1, 99), day, chance.randint(1, 9)) for number, day in enumerate(days)]
        merges = merges_of(parts, 100, 20)
        merged = {each.url for merge in merges for each in merge.parts}
        after = [each for each in parts if each.url not in merged]
        for number, merge in enumerate(merges):
            count = sum(each.originals for each in merge.parts)
            assert merge.size_bytes <= 100
            assert count <= 20
            after.append(Part(f"new-{number}", merge.date, merge.rows, merge.size_bytes, count))
        assert merges_of(after, 100, 20) == []
        assert sum(each.rows for each in after) == sum(each.rows for each in parts)


def test_a_plan_is_cut_into_what_one_commit_takes() -> None:
    merges = [Merge(DAY, (part(1, size), part(2, 1))) for size in (5, 5, 20, 1)]
    assert [sizes(batch) for batch in batches_of(merges, 12, 99)] == [[[5, 1], [5, 1]], [[20, 1]], [[1, 1]]]
    assert [len(batch) for batch in batches_of(merges, 99, 4)] == [2, 2]


def test_only_the_lakes_files_and_own_ones_are_parts() -> None:
    """A file that an engine wrote, at whichever place, is none."""
    original = PLACES.part_of(f"s3://b/lake/events/event_date={DAY}/{NAME}", 5, 70)
    assert original == Part(f"s3://b/lake/events/event_date={DAY}/{NAME}", DAY, 5, 70)
    assert PLACES.part_of(OWN, 5, 70) == Part(OWN, DAY, 5, 900, 3)
    assert PLACES.began_s(OWN) == 1795000000
    other = replace(PLACES, uuid="cd34")
    assert (other.began_s(OWN), other.compacted_date(OWN)) == (None, DAY)
    assert PLACES.new_url(DAY, 1795000000, [part(1, 500), part(2, 400, originals=2)], "0123456789abcdef") == OWN
    for url in (
        f"s3://b/lake/stages/event_date={DAY}/{NAME}",
        f"s3://b/lake/events/event_date=2026-11-31/{NAME}",
        f"s3://b/lake/events/event_date={DAY}/x/{NAME}",
        f"s3://b/lake/events/event_date={DAY}/part-0.parquet",
        f"s3://b/lake/_iceberg/events/data/event_day={DAY}/part-0.parquet",
        OWN.replace("/ab12/", "/"),
        OWN.replace("-900-", "-"),
    ):
        assert PLACES.part_of(url, 5, 70) is None, url
        assert PLACES.began_s(url) is None, url


def test_a_compacted_file_names_its_originals_and_is_not_believed_anything_else() -> None:
    key = f"events/event_date={DAY}/{NAME}"
    originals = [LoggedFile(str(SCOPE), "events", key, DAY, 5, 70)]
    body = originals_text(originals)
    assert originals_in(EVENTS, OWN, DAY, {ORIGINALS_KEY.encode(): body.encode()}) == originals
    for wrong in (
        "",
        "{}",
        f'[["{NAME}",1]]',
        '[["x.parquet",1,1]]',
        body.replace(NAME, f"../{NAME}"),
        body.replace("70", "0"),
    ):
        with pytest.raises(FileDamaged, match="publish --rebuild"):
            originals_in(EVENTS, OWN, DAY, {ORIGINALS_KEY.encode(): wrong.encode()})
    with pytest.raises(FileDamaged):
        originals_in(EVENTS, OWN, DAY, None)
