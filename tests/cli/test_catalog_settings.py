"""The settings of a catalog: where its properties come from, and that they are shown nowhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from exporter.cli.settings_sources import keys, load
from exporter.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.settings import Settings

SECRET = "correct-horse"
VARIABLE = "IVS_EXPORT_CATALOG__PROPERTIES"


def properties_of(settings: Settings) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in settings.catalog.properties.items()}


def test_properties_stand_in_the_file_or_in_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dotted key of TOML is the dotted name it looks like; a variable takes the same as JSON, and counts for more."""
    assert ("catalog", "properties") not in keys()
    file = tmp_path / "settings.toml"
    file.write_text(
        '[catalog]\nkind = "rest"\n[catalog.properties]\nuri = "http://c"\ns3.endpoint = "http://e"\n'
        '"s3.region" = "eu-west-1"\nrest.sigv4-enabled = true\ns3.request-timeout = 20\n'
    )
    assert properties_of(load({}, file)) == {
        "uri": "http://c",
        "s3.endpoint": "http://e",
        "s3.region": "eu-west-1",
        "rest.sigv4-enabled": "true",
        "s3.request-timeout": "20",
    }
    monkeypatch.setenv(VARIABLE, json.dumps({"credential": SECRET}))
    settings = load({}, file)
    assert properties_of(settings) == {"credential": SECRET}
    assert settings.catalog.kind == "rest"
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"credential={SECRET}", "should be a JSON object"),
        (f'["{SECRET}"]', "should be names with their values"),
        (json.dumps({"credential": [SECRET]}), "'credential' should be text or a number"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a":' * 3_000 + "1" + "}" * 3_000, "is nested too deeply"),
    ],
)
def test_wrong_properties_are_refused_unshown(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and what is wrong, and nothing of the value."""
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError) as raised:
        load({})
    assert VARIABLE in str(raised.value)
    assert message in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_wrong_key_beside_them_shows_none_of_them(tmp_path: Path) -> None:
    """Neither does an error of the section: a kind that is none, a key that is none, a section that is no section."""
    file = tmp_path / "settings.toml"
    secret = f'properties = {{ credential = "{SECRET}" }}\n'
    for text, message in [
        ('[catalog]\nkind = "hive"\n' + secret, "catalog.kind: 'hive' is refused"),
        ('[catalog]\ndatabase = "A-b"\n' + secret, "catalog.database: 'A-b' is refused"),
        ('[catalog]\nkid = "rest"\n' + secret, "catalog.kid is no key; did you mean catalog.kind?"),
        (f'[catalog]\nproperties = "{SECRET}"\n', "catalog.properties is refused: should be a JSON object"),
    ]:
        file.write_text(text)
        with pytest.raises(UsageError) as raised:
            load({}, file)
        assert message in str(raised.value)
        assert SECRET not in str(raised.value)
