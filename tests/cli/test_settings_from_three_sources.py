from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli import settings_sources
from exporter.cli.setting_options import MEMORY, SETTINGS, flag_of
from exporter.cli.settings_sources import keys, load, variable_of
from exporter.discovery.target_list import Targets
from exporter.errors import UsageError
from exporter.model import REGIONS
from exporter.pipeline.regions import with_regions
from exporter.settings import AccountSettings, QuotaSettings, RetrySettings, Settings
from exporter.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLE = Path(settings_sources.__file__).parents[2] / "config" / "ivs-export.toml"
ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/AbCd"


#: Two values each of the keys that do not take any text or number.
_ODD_VALUES: dict[tuple[str, ...], list[Any]] = {
    ("privacy", "user_id"): ["keep", "drop"],
    ("privacy", "attributes"): ["drop", ["plan", "team"]],
    ("privacy", "extra"): ["keep", "drop"],
    ("notify", "on"): ["problem", "always"],
    ("notify", "sns_topic_arn"): [f"arn:aws:sns:eu-west-1:123456789012:{name}" for name in ("one", "two")],
    ("telemetry", "log_format"): ["json", "text"],
}


def nested(key: tuple[str, ...], value: object) -> dict[str, Any]:
    return {key[0]: value} if len(key) == 1 else {key[0]: {key[1]: value}}


def value_at(settings: Settings, key: tuple[str, ...]) -> Any:
    value: Any = settings
    for name in key:
        value = getattr(value, name)
    return value


def other_value(key: tuple[str, ...], number: int) -> Any:
    """A value of the key that is not its default: another one for each number."""
    default = keys()[key]
    if key in _ODD_VALUES:
        return _ODD_VALUES[key][number % 2]
    if key == ("regions",):
        return [REGIONS[number]]
    if key in (("stages",), ("exclude_stages",)):
        return [f"{ARN}{number}"]
    if isinstance(default, bool):
        return number % 2 == 0
    if key[0] == "catalog" and (default is None or isinstance(default, str)):
        return ["glue", "rest", "sql"][number - 1] if key[1] == "kind" else f"name_{number}"
    return (
        f"text-{number}"
        if default is None or isinstance(default, str)
        else default + number / (4 if key[-1] == "reserve" else 1)
    )


def as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def as_kept(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def written(key: tuple[str, ...], value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return f"{key[-1]} = {text}\n" if len(key) == 1 else f"[{key[0]}]\n{key[1]} = {text}\n"


@pytest.mark.parametrize("key", keys(), ids=".".join)
def test_option_counts_for_more_than_variable_and_that_for_more_than_file(
    key: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key can be set by three sources, and the first that sets it counts."""
    in_file, in_variable, in_option = (other_value(key, number) for number in (1, 2, 3))
    file = tmp_path / "settings.toml"
    file.write_text(written(key, in_file))
    assert value_at(load({}, file), key) == as_kept(in_file)
    monkeypatch.setenv(variable_of(key), as_text(in_variable))
    assert value_at(load({}, file), key) == as_kept(in_variable)
    assert value_at(load(nested(key, in_option), file), key) == as_kept(in_option)


def test_keys_of_one_section_come_from_different_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section is no whole: its keys are looked for one by one."""
    file = tmp_path / "settings.toml"
    file.write_text("[retry]\nattempts = 3\n")
    monkeypatch.setenv("IVS_EXPORT_CONFIG", str(file))
    monkeypatch.setenv("IVS_EXPORT_RETRY__TIMEOUT_S", "7")
    assert load({}).retry == RetrySettings(attempts=3, timeout_s=7.0)


def test_rate_is_the_quota_less_the_reserve() -> None:
    """A quarter left to others leaves three quarters of the calls."""
    assert QuotaSettings(calls_per_second=4.0, reserve=0.25).rate == 3.0


def test_example_file_says_every_default() -> None:
    """The commented file names each key once with its default, its option, and loads as it is."""
    assert load({}, EXAMPLE) == Settings()
    text = EXAMPLE.read_text()
    bare = tomllib.loads(re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE))
    assert [set(table) for table in bare.pop("accounts")] == [set(AccountSettings.model_fields)]
    assert {name for name, value in bare.items() if not isinstance(value, dict)} == {
        *("lake", "regions", "stages", "exclude_stages")
    }
    for key in keys():
        assert key[-1] in (bare if len(key) == 1 else bare[key[0]])
        assert f"{flag_of(key)} " in text.replace("\n", " ").replace(",", " ")


def test_every_key_is_an_option_with_its_default() -> None:
    """One option sets each key, and its help names the default that the settings have."""
    helps = {option.key: option.help or "" for option in (*SETTINGS, MEMORY)}
    assert sorted(option.key or "" for option in (*SETTINGS, MEMORY)) == sorted(map(".".join, keys()))
    for key, default in keys().items():
        text = helps[".".join(key)]
        shown_default = re.search(r"\(([^()]*)\)$", text)
        if isinstance(default, bool):
            assert shown_default is not None
            assert (shown_default[1] == "yes") is default
        elif isinstance(default, int | float):
            assert shown_default is not None
            assert float(shown_default[1]) == default
        elif isinstance(default, str):
            assert f"({default or 'none'})" in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IVS_EXPORT_LAEK", "unknown variable IVS_EXPORT_LAEK; did you mean IVS_EXPORT_LAKE?"),
        ("IVS_EXPORT_QUOTA__RESERV", "did you mean IVS_EXPORT_QUOTA__RESERVE?"),
        ("IVS_EXPORT_QUOTA", "unknown variable IVS_EXPORT_QUOTA"),
        ("IVS_EXPORT_RUN_CONCURRENCY", "did you mean IVS_EXPORT_RUN__CONCURRENCY?"),
        ("ivs_export_config", "unknown variable ivs_export_config; did you mean IVS_EXPORT_CONFIG?"),
        ("Ivs_Export_Lake", "did you mean IVS_EXPORT_LAKE?"),
    ],
)
def test_misspelt_variable_is_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that would be passed over in silence is an error, with what was probably meant."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(UsageError, match=re.escape(message)):
        load({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lakes = 'x'", "lakes is no key; did you mean lake?"),
        ("[quota]\ncalls_per_secnd = 1", "quota.calls_per_secnd is no key; did you mean quota.calls_per_second?"),
        ("[qouta]\nreserve = 0.1", "qouta is no key"),
        ("quota = 1", "quota is a section, written [quota]"),
        ("lake", "is not TOML: "),
        ("lake = 5", "lake: 5 is refused: should be a valid string"),
        ("[notify]\nsns_topic_arn = 'x'", "should be a standard topic's ARN"),
        ("[telemetry]\nmetrics_file = 's3://b/x.prom'", "should be a file of this machine"),
        ("regions = ['mars-1']", "'mars-1' is no AWS region: a region is a name such as eu-west-1"),
        ("regions = ['eu-west1']", "'eu-west1' is no AWS region: did you mean eu-west-1?"),
        ("regions = ['EU-WEST-1']", "did you mean eu-west-1?"),
        (f"stages = ['{ARN}']\nexclude_stages = ['{ARN}']", f"{ARN} is one of the stages to export, too"),
        ("exclude_stages = ['x']", "exclude_stages: ['x'] is refused: 'x' is no stage ARN"),
        ("stages = ['x']", "'x' is no stage ARN"),
        ("[quota]\ncalls_per_second = true", "True is refused: should be a number"),
        ("[run]\nconcurrency = 1.5", "run.concurrency: 1.5 is refused"),
        ("[quota]\nreserve = 0.91", "quota.reserve: 0.91 is refused: should be less than or equal to 0.9"),
        ("a" + ".a" * 500 + " = 1", "a is no key"),
        ("a" + ".a" * 5000 + " = 1", ""),  # Python 3.14 does not read it; older ones do
        ("regions = " + "[" * 5000 + "]" * 5000, ""),
    ],
)
def test_wrong_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """An error in the file names the file, the key, the value and the reason, in one line."""
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        load({}, file)
    assert str(file) in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b'lake = "\xe4"', b"\x00"])
def test_file_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, or no TOML, are an error and no crash."""
    file = tmp_path / "settings.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"settings\.toml"):
        load({}, file)


@pytest.mark.parametrize("name", [".", "missing.toml", "a\0b"])
def test_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    """A directory, a missing file and an impossible name are errors that name them."""
    with pytest.raises(UsageError, match=r"can.t be read"):
        load({}, tmp_path / name)


NUMBERS = [key for key, default in keys().items() if isinstance(default, float)]


@given(key=st.sampled_from(NUMBERS), number=st.floats())
def test_numbers_are_finite_and_not_negative(key: tuple[str, ...], number: float) -> None:
    """Every number takes any positive size (a share ends at 0.9), and neither NaN nor an infinity."""
    may_be_zero = key[-1] in ("reserve", "deadline_s", "grace_s", "give_up_days")
    most = 0.9 if key[-1] == "reserve" else sys.float_info.max
    if 0 < number <= most or (number == 0 and may_be_zero):
        assert value_at(load(nested(key, repr(number))), key) == number
    else:
        with pytest.raises(UsageError, match="^" + re.escape(flag_of(key))):
            load(nested(key, repr(number)))


@pytest.mark.parametrize(
    "lake",
    [
        *(
            "lake",
            "./lake",
            "/data/lake",
            "//data/lake",
            "lake:2026",
            "2026-11-23T10:00/lake",
            "./a:/b",
            "./s3:/b",
            "./~",
        ),
        *(
            "s3://bucket",
            "s3://bucket/a/b",
            "s3://bucket/~/$",
            "s3",
            "s3/b",
            "/mnt/share$/x",
            "50%/x",
            "my lake",
            "..",
            ".",
        ),
    ],
)
def test_lake_is_a_directory_or_a_bucket(lake: str) -> None:
    """Any text that may well be a path is one."""
    assert load({"lake": lake}).lake == lake


NO_LAKES = {
    "": "should be text",
    " ": "should be text",
    "a\nb": "should be text",
    "a\0b": "should be text",
    "\u200bs3://bucket": "should be text",
    " s3://bucket": "a blank",
    "lake ": "a blank",
    "s3://": "a bucket alone",
    "s3:///prefix": "a bucket alone",
    "s3://AKIAEXAMPLE:verysecret@bucket/x": "a bucket alone",
    "s3://bucket\\prefix": "a bucket of letters",
    "s3://<bucket>/x": "a bucket of letters",
    "s3:/bucket/p": "did you mean s3://bucket/p?",
    "s3:bucket/p": "did you mean s3://bucket/p?",
    "s3:AKIAEXAMPLE:verysecret@bucket/x": "s3://bucket/prefix",
    "s3//bucket/p": "did you mean s3://bucket/p?",
    "S3://bucket/p": "did you mean s3://bucket/p?",
    "s3a://bucket/p": "did you mean s3://bucket/p?",
    "s3:\\\\bucket\\p": "did you mean s3://bucket/p?",
    "s3:": "s3://bucket/prefix",
    "s3 ://bucket": "s3://bucket/prefix",
    "arn:aws:s3:::bucket": "s3://bucket/prefix",
    "gs://bucket/x": "s3://bucket/prefix",
    "gs:bucket": "write ./ before it",
    "abfss://c@a.dfs.core.windows.net/x": "s3://bucket/prefix",
    "file:///data/lake": "its path alone",
    "file:/data/lake": "s3://bucket/prefix",
    "https://bucket.s3.amazonaws.com/x": "s3://bucket/prefix",
    "bucket.s3.amazonaws.com/x": "s3://bucket/prefix",
    "://bucket": "its path alone",
    "'/data/lake'": "quotes",
    '"s3://bucket/x"': "quotes",
    '/data/lake"': "quotes",
    "\u201clake\u201d": "quotes",
    "$HOME/lake": "$H",
    "${HOME}/lake": "${",
    "/data/$USER/lake": "$U",
    "$(pwd)/lake": "$(",
    "$": "$",
    "s3://$BUCKET/x": "$B",
    "s3://bucket/${ENV}": "${",
    "%HOME%/lake": "%HOME%",
    "{{ lake }}": "{{",
    "<lake>": "<",
    "~nobody-of-that-name/x": "nobody knows",
    "C:\\lake": "write ./ before it",
    "C:/lake": "write ./ before it",
    "\\\\server\\share": "with / and not",
    ".\\lake": "with / and not",
    "nas:/export/lake": "write ./ before it",
    "me@nas:/export/lake": "no other machine's",
    "nas:": "no other machine's",
    "-": "standard output",
}


@pytest.mark.parametrize("lake", NO_LAKES)
def test_what_is_no_lake_is_refused(lake: str) -> None:
    """An address of another world would become a folder; the refusal says what is meant, and no password."""
    with pytest.raises(UsageError) as raised:
        load({"lake": lake})
    message = str(raised.value)
    assert message.startswith("--lake: ")
    assert NO_LAKES[lake] in message
    assert message.isprintable()
    assert "verysecret" not in message


def test_home_is_put_in_place_of_a_tilde_wherever_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands what stands in a file or after an equals sign, so it is done here; also for the file itself."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "settings.toml").write_text('lake = "~/in-file"\n')
    monkeypatch.setenv("IVS_EXPORT_CONFIG", "~/settings.toml")
    assert load({}).lake == f"{tmp_path}/in-file"
    monkeypatch.setenv("IVS_EXPORT_LAKE", "~")
    assert load({}).lake == str(tmp_path)
    assert load({"lake": "~/x"}).lake == f"{tmp_path}/x"


@pytest.mark.parametrize(
    "name",
    [
        *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"),
        *("EMULATOR_SERVICE_HOST", "EMULATOR_SERVICE_PORT_WEB", "EMULATOR_PORT", "EMULATOR_PORT_4599_TCP_PROTO"),
    ],
)
def test_what_kubernetes_sets_beside_a_service_is_passed_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service called ivs-export, or ivs-export-emulator, sets variables that look like ours."""
    monkeypatch.setenv(f"IVS_EXPORT_{name}", "tcp://10.0.0.1:80")
    assert load({}) == Settings()


@pytest.mark.parametrize("region", ["us-east-2", "eu-wset-1", "us-gov-west-1", "eusc-de-east-1", "ap-southeast-12"])
def test_region_that_is_not_known_here_is_asked(region: str) -> None:
    """Where IVS Real-Time is served changes, so what looks like a region is one, in a stage's ARN, too."""
    arn = f"arn:aws-x:ivs:{region}:123456789012:stage/Ab_Cd"
    settings = Settings(regions=(region,), stages=(arn,))
    assert with_regions(settings, targets_of([arn]), no_profile).regions == (region,)


def test_target_that_is_excluded_or_not_among_the_stages_is_refused() -> None:
    """A list and the settings that contradict each other are a mistake, whichever of them is meant."""
    with pytest.raises(UsageError, match=re.escape(f"the list names stage {ARN}, which is excluded")):
        with_regions(Settings(exclude_stages=(ARN,)), targets_of([ARN]), no_profile)
    with pytest.raises(
        UsageError, match=re.escape(f"the list names stage {ARN}, which is none of the stages to export")
    ):
        with_regions(Settings(stages=(ARN + "x",)), targets_of([ARN]), no_profile)


def test_shown_value_is_short_and_on_one_line() -> None:
    """A hostile value can neither flood nor break the line that names it."""
    assert len(shown("x\n" * 10_000)) < 200
    assert shown("x\ny") == r"'x\ny'"


def no_profile() -> str | None:
    raise AssertionError("the profile was asked")


@pytest.mark.parametrize(
    ("variables", "profile", "regions"),
    [
        ({"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-west-1", ("us-east-1",)),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-west-1", ("us-west-2",)),
        ({}, "eu-west-1", ("eu-west-1",)),
    ],
)
def test_region_is_the_environments_where_none_is_given(
    variables: dict[str, str], profile: str, regions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_REGION, AWS_DEFAULT_REGION and the profile are asked in this order."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert with_regions(Settings(), None, lambda: profile).regions == regions


@pytest.mark.parametrize(("region", "message"), [(None, "no region is set"), ("us-esat", "the AWS profile gives")])
def test_no_region_or_what_is_none_is_refused(region: str | None, message: str) -> None:
    """A run with nowhere to look is an error, and so is a default region that can't be one."""
    with pytest.raises(UsageError, match=message):
        with_regions(Settings(), None, lambda: region)


def targets_of(arns: Iterable[str]) -> Targets:
    return Targets({arn: {} for arn in arns})


def test_regions_are_those_of_stages_and_targets_where_none_are_given() -> None:
    """An ARN says its region, so nobody else need say it, and no default counts."""
    assert with_regions(Settings(stages=(ARN,)), None, no_profile).regions == ("eu-west-1",)
    assert with_regions(Settings(), targets_of([ARN]), no_profile).regions == ("eu-west-1",)


def test_stage_or_target_outside_the_regions_is_refused() -> None:
    """Where regions are set they limit the run; something beyond them is a mistake, and is named."""
    settings = Settings(regions=("us-east-1",))
    with pytest.raises(UsageError, match="the list names account 123456789012 in eu-west-1"):
        with_regions(settings, targets_of([ARN]), no_profile)
    with pytest.raises(UsageError, match=re.escape(f"stage {ARN} is in eu-west-1")):
        with_regions(settings.model_copy(update={"stages": (ARN,)}), None, no_profile)


def test_names_are_kept_once_and_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated regions would be exported twice; an empty variable is how many tools write none."""
    monkeypatch.setenv("IVS_EXPORT_STAGES", "")
    monkeypatch.setenv("IVS_EXPORT_RUN__CONCURRENCY", "")
    monkeypatch.setenv("IVS_EXPORT_REGIONS", "us-east-1, eu-west-1,us-east-1,")
    settings = load({})
    assert (settings.stages, settings.regions) == ((), ("us-east-1", "eu-west-1"))
    assert settings.run.concurrency == Settings().run.concurrency
    assert os.environ["IVS_EXPORT_STAGES"] == ""


def test_an_empty_lake_is_no_folder_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable whose value nobody has filled in names no lake: it is refused where nothing else names one."""
    monkeypatch.setenv("IVS_EXPORT_LAKE", "")
    with pytest.raises(UsageError, match=r"^IVS_EXPORT_LAKE is empty, .* or unset it for \./lake$"):
        load({})
    assert load({"lake": "there"}).lake == "there"
    (tmp_path / "file.toml").write_text('lake = "elsewhere"\n')
    assert load({}, tmp_path / "file.toml").lake == "elsewhere"
    monkeypatch.setenv("IVS_EXPORT_LAKE", " ")
    with pytest.raises(UsageError, match="IVS_EXPORT_LAKE: ' ' is refused"):
        load({})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example/T0/secret-part", "should begin with https://"),
        ("ftp://hooks.example/secret-part", "should be a URL, such as https://host/path"),
        ("secret-part", "should be a URL"),
        ("https:///secret-part", "should be a URL"),
        ("https://hooks.example:99999/secret-part", "should be a URL"),
        ("https://[secret-part", "should be a URL"),
        ("https://hooks.example/secret-part\x1b", "should be a URL"),
        ("http://127.0.0.1.hooks.example/secret-part", "should begin with https://"),
    ],
)
def test_a_webhook_that_is_refused_is_not_shown(
    url: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in its URL may be a secret: the error names its source alone."""
    file = tmp_path / "settings.toml"
    file.write_text(f"[notify]\nwebhook = {json.dumps(url)}\n")
    monkeypatch.setenv("IVS_EXPORT_NOTIFY__WEBHOOK", url)
    for config, source in ((None, "IVS_EXPORT_NOTIFY__WEBHOOK"), (file, f"{file}: notify.webhook")):
        with pytest.raises(UsageError) as raised:
            load({}, config)
        assert str(raised.value).startswith(f"{source} is refused: {reason}")
        assert "secret-part" not in str(raised.value)
        monkeypatch.delenv("IVS_EXPORT_NOTIFY__WEBHOOK", raising=False)


def test_a_webhook_is_https_or_on_this_machine() -> None:
    """A secret that goes over http can be read by anybody on the way."""
    for url in (
        "https://hooks.example/secret-part",
        "HTTPS://hooks.example/a",
        "http://127.0.0.1:80/a",
        "http://[::1]/",
    ):
        settings = load({"notify": {"webhook": url}})
        assert url not in repr(settings)
        assert settings.notify.webhook is not None
        assert settings.notify.webhook.get_secret_value() == url
