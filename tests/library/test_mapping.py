from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import exporter
from exporter.library.mapping import settings_of

ROLE = "arn:aws:iam::111122223333:role/ivs-export"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "settings: None is refused: should be Settings, or a mapping"),
        ("./lake", r"settings: '\./lake' is refused: should be Settings, or a mapping"),
        ({"lakes": "x"}, r"settings: lakes is no key; did you mean lake\?"),
        ({"quota": {"reserv": 0.5}}, r"settings: quota\.reserv is no key; did you mean reserve\?"),
        ({"quota": {"reserve": 2}}, r"settings: quota\.reserve: 2 is refused: .*0\.9"),
        ({"run": 5}, "settings: run: 5 is refused"),
        ({"regions": ["eu-west"]}, "settings: regions.*did you mean eu-west-1"),
        ({"lake": ""}, "settings: lake: '' is refused"),
        ({"accounts": [{"role_arn": "x"}]}, r"settings: accounts\[0\]\.role_arn: 'x' is refused"),
        ({"accounts": [{"role_arn": ROLE, "region": ["x"]}]}, r"accounts\[0\]\.region is no key; did you mean regions"),
        ({"privacy": {"attributes": 5}}, r"settings: privacy\.attributes: 5 is refused"),
    ],
)
def test_what_is_wrong_is_named(values: Any, message: str) -> None:
    """A wrong key or value is refused by its name, before anything is started."""
    with pytest.raises(exporter.UsageError, match=message):
        exporter.export(values)


@pytest.mark.parametrize(
    "values",
    [{"privacy": {"key": ["quite-secret"]}}, {"accounts": [{"role_arn": ROLE, "external_id": "quite-secret "}]}],
)
def test_no_secret_is_shown(values: dict[str, Any]) -> None:
    """The key of user ids and an external id stand in no message."""
    with pytest.raises(exporter.UsageError) as refused:
        settings_of(values)
    assert "quite-secret" not in str(refused.value)


def test_a_mapping_is_as_the_file() -> None:
    """Sections nest as in the file, what is left out has its default, and the key of user ids may stand there."""
    settings = settings_of({"lake": "./x", "privacy": {"user_id": "hash", "key": "k" * 32}, "run": {"deadline_s": 60}})
    assert (settings.lake, settings.run.deadline_s, settings.run.concurrency) == ("./x", 60.0, 32)
    assert settings.privacy.key is not None
    assert settings.privacy.key.get_secret_value() == "k" * 32


def test_a_request_is_no_mapping() -> None:
    """It is refused with what it should be, as a wrong setting is."""
    wrong: Any = {"tag": "2026-11-23"}
    with pytest.raises(exporter.UsageError, match=r"request: .* is refused: should be an exporter\.Request"):
        exporter.export({}, wrong)


@pytest.mark.parametrize(
    "wrong", [{"targets": "x.csv"}, {"period": "2026"}, {"period": None}, {"scopes": "x"}, {"refetch": 1}, {"tag": 5}]
)
def test_what_a_request_is_made_of_has_its_kind(wrong: dict[str, Any]) -> None:
    """A value of another kind is named where it is given, and is no bug of the exporter's."""
    [name] = wrong
    with pytest.raises(exporter.UsageError, match=f"{name}: .* is refused: should be of the kind "):
        exporter.Request(**wrong)
    day: Any = "2026-11-01"
    with pytest.raises(exporter.UsageError, match="should be of the kind datetime"):
        exporter.Period.of(day)


@pytest.mark.parametrize("tag", ["", "two\nlines", "x" * 201])
def test_a_tag_is_one_short_line(tag: str) -> None:
    """Another tag is refused when the request is made."""
    with pytest.raises(exporter.UsageError, match="tag"):
        exporter.Request(tag=tag)


def test_a_period_is_made_of_times_with_a_zone() -> None:
    """A time in another zone is the same moment; one without a zone, and an end before the beginning, are refused."""
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert exporter.Period.of(noon).since_us == 1_795_435_200_000_000
    assert exporter.Period.of(noon) == exporter.Period.of(datetime.fromisoformat("2026-11-23T13:00:00+01:00"))
    with pytest.raises(exporter.UsageError, match="no zone"):
        exporter.Period.of(noon.replace(tzinfo=None))
    with pytest.raises(exporter.UsageError, match="not after its beginning"):
        exporter.Period.of(noon, noon - timedelta(hours=1))


def test_a_backfill_of_a_part_is_refused() -> None:
    """What makes no sense together is refused before anything is started."""
    part = exporter.Request(backfill_tables=True, period=exporter.Period(since_us=0))
    with pytest.raises(exporter.UsageError, match="whole lake"):
        exporter.export({"lake": "./x"}, part)
    off = {"stages": False, "sessions": False, "participants": False}
    with pytest.raises(exporter.UsageError, match="switched off"):
        exporter.export({"lake": "./x", "tables": off}, exporter.Request(backfill_tables=True))
