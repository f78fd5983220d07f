"""The tables for Athena's Hive reader, kept up to date in Glue: refusals, faults, and others at the same time."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pytest
from aiobotocore.session import AioSession

from exporter.catalog import hive_tables
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.glue_errors import GlueBusy, GlueDenied, GlueRefused
from exporter.catalog.hive import hive_name, wanted_table
from exporter.catalog.hive_tables import dropped_hive_tables, keep_hive_tables, publish_hive_tables
from exporter.catalog.outcome import Publication
from exporter.cli.app import main
from exporter.errors import CredentialsLost, UsageError
from exporter.lake.tables import TABLES
from exporter.lake.tables.columns import text
from exporter.lake.tables.events import EVENTS
from exporter.settings import Settings
from tests.support.servers.faulty_proxy import Answer, faulty_proxy
from tests.support.servers.moto_glue import moto_glue
from tests.support.sessions import aws_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from aiohttp import web

    from exporter.lake.tables.table import Table
    from tests.support.servers.faulty_proxy import Proxy

LAKE = "s3://my-lake/ivs"
NAMES = [hive_name(table) for table in TABLES]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_glue() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def glue(moto: str) -> Any:
    """Glue as anybody else uses it."""
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client("glue", region_name="us-east-1", endpoint_url=moto, **keys)


@pytest.fixture
async def proxy(moto: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A way to Glue that can answer in its place; it is the endpoint in use."""
    async with faulty_proxy(moto) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", proxy.url)
        yield proxy


@pytest.fixture
def settings() -> Settings:
    """A database of the test's own, which is not there yet."""
    catalog = {"kind": "glue", "database": f"hive_{next(_numbers)}"}
    return Settings.model_validate({"lake": LAKE, "catalog": catalog, "retry": {"attempts": 2}})


@cache
def session() -> AioSession:
    """One for all, since each reads botocore's models anew."""
    return aws_session("lake-writer", "secret")


async def keep(settings: Settings) -> list[str | None]:
    """What became of each table; none may fail."""
    results = await keep_hive_tables(settings, session, sleep=no_sleep)
    assert [result.error for result in results] == [None] * len(TABLES)
    assert [result.name for result in results] == [f"{settings.catalog.database}.{name}" for name in NAMES]
    return [result.outcome for result in results]


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def of(settings: Settings, glue: Any, name: str) -> dict[str, Any]:
    table: dict[str, Any] = glue.get_table(DatabaseName=settings.catalog.database, Name=name)["Table"]
    return table


def operation_of(request: web.Request) -> str:
    return request.headers["X-Amz-Target"].partition(".")[2]


def asked(proxy: Proxy) -> list[str]:
    return [operation_of(request) for request in proxy.asked]


def refusing(operation: str, code: str, message: str = "no") -> Callable[[web.Request], Answer | None]:
    """Answers one operation with an error of Glue's."""
    body = json.dumps({"__type": code, "Message": message}).encode()

    def rule(request: web.Request) -> Answer | None:
        return Answer(400, body, "application/x-amz-json-1.1") if operation_of(request) == operation else None

    return rule


def once(rule: Callable[[web.Request], Answer | None]) -> Callable[[web.Request], Answer | None]:
    """The same rule for its first answer alone."""
    given: list[Answer] = []

    def first(request: web.Request) -> Answer | None:
        answer = None if given else rule(request)
        given.extend([answer] if answer is not None else [])
        return answer

    return first


def with_another_column(table: Table) -> Table:
    return replace(table, version=2, columns=(*table.columns, text(99, "mood", "how it felt", "where nobody says")))


async def test_all_tables_are_made_and_then_left_alone(settings: Settings, proxy: Proxy, glue: Any) -> None:
    """The database, too. On later nights Glue is asked for each table once, and nothing is written."""
    assert await keep(settings) == ["created"] * 4
    for table, name in zip(TABLES, NAMES, strict=True):
        wanted = wanted_table(table, LAKE)
        found = of(settings, glue, name)
        assert {key: found[key] for key in wanted} == wanted
    proxy.asked.clear()
    assert await keep(settings) == ["unchanged"] * 4
    assert asked(proxy) == ["GetTable"] * 4


async def test_a_newer_exporter_and_an_older_one(
    settings: Settings, proxy: Proxy, glue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that one has gained is added by it, and the other leaves it there."""
    await keep(settings)
    with monkeypatch.context() as patch:
        patch.setattr(hive_tables, "TABLES", (with_another_column(EVENTS), *TABLES[1:]))
        proxy.asked.clear()
        assert await keep(settings) == ["updated", "unchanged", "unchanged", "unchanged"]
        assert asked(proxy).count("UpdateTable") == 1
        assert await keep(settings) == ["unchanged"] * 4
    assert await keep(settings) == ["newer", "unchanged", "unchanged", "unchanged"]
    columns = of(settings, glue, "events_hive")["StorageDescriptor"]["Columns"]
    assert [column["Name"] for column in columns] == [*EVENTS.schema.names, "mood"]
    assert columns[-1]["Comment"] == "how it felt; null where nobody says"


async def test_a_table_of_somebody_elses_holds_no_other_up(settings: Settings, proxy: Proxy, glue: Any) -> None:
    """It is refused by name, kept as it is, and not dropped either; the others are made."""
    database = settings.catalog.database
    glue.create_database(DatabaseInput={"Name": database})
    glue.create_table(DatabaseName=database, TableInput={"Name": "stages_hive", "Parameters": {"theirs": "1"}})
    results = await keep_hive_tables(settings, session)
    assert [result.outcome for result in results] == ["created", None, "created", "created"]
    assert isinstance(results[1].error, CatalogMismatch)
    assert f"{database}.stages_hive" in str(results[1].error)
    others = [name for name in NAMES if name != "stages_hive"]
    for dropped in (others, []):
        assert await dropped_hive_tables(settings, session) == dropped
        assert [table["Name"] for table in glue.get_tables(DatabaseName=database)["TableList"]] == ["stages_hive"]
    assert of(settings, glue, "stages_hive")["Parameters"] == {"theirs": "1"}
    assert asked(proxy).count("DeleteTable") == 3
    proxy.rule = refusing("GetTable", "AccessDeniedException")
    with pytest.raises(GlueRefused, match="allow glue:GetTable"):
        await dropped_hive_tables(settings, session)


@pytest.mark.parametrize(
    ("operation", "said", "remedy"),
    [
        ("GetTable", "User is not authorized", "allow glue:GetTable, as `ivs-export config glue-policy.json` does"),
        ("CreateTable", "User is not authorized", "allow glue:CreateTable, as `ivs-export config glue"),
        ("CreateDatabase", "User is not authorized", "or make the database yourself"),
        (
            "CreateTable",
            "Insufficient Lake Formation permission(s): Required Create Table",
            "grant it in Lake Formation",
        ),
    ],
)
async def test_what_is_denied_is_named(
    operation: str, said: str, remedy: str, settings: Settings, proxy: Proxy
) -> None:
    """One line says what to allow, and nothing is tried again."""
    proxy.rule = refusing(operation, "AccessDeniedException", said)
    for result in await keep_hive_tables(settings, session, sleep=no_sleep):
        assert (result.outcome, type(result.error)) == (None, GlueDenied)
        assert remedy in str(result.error)
        assert "\n" not in str(result.error)
    assert asked(proxy).count(operation) == 4


async def test_another_makes_the_database_and_the_table_first(settings: Settings, proxy: Proxy, glue: Any) -> None:
    """What it has made is what should be there: nothing is left to do."""
    database = settings.catalog.database
    make = {
        "CreateDatabase": lambda: glue.create_database(DatabaseInput={"Name": database}),
        "CreateTable": lambda: glue.create_table(DatabaseName=database, TableInput=wanted_table(EVENTS, LAKE)),
    }

    def rule(request: web.Request) -> None:
        """Be there first: with the database when it is to be made, then with the table."""
        operation = operation_of(request)
        if operation in make and (operation == "CreateDatabase" or "CreateDatabase" not in make):
            make.pop(operation)()

    proxy.rule = rule
    assert await keep(settings) == ["unchanged", "created", "created", "created"]
    assert make == {}


async def test_another_changes_the_table_at_the_same_time(
    settings: Settings, proxy: Proxy, glue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change names the version that it was decided by; refused, it is decided anew by what is there then."""
    await keep(settings)
    theirs = wanted_table(EVENTS, LAKE)
    theirs["Parameters"]["team"] = "red"
    changes = [theirs]

    def rule(request: web.Request) -> None:
        """Change the table just before the exporter does."""
        if operation_of(request) == "UpdateTable" and changes:
            glue.update_table(DatabaseName=settings.catalog.database, TableInput=changes.pop())

    proxy.rule = rule
    proxy.asked.clear()
    monkeypatch.setattr(hive_tables, "TABLES", (with_another_column(EVENTS),))
    (result,) = await keep_hive_tables(settings, session, sleep=no_sleep)
    assert (result.outcome, result.error) == ("updated", None)
    assert asked(proxy) == ["GetTable", "UpdateTable", "GetTable", "UpdateTable"]
    assert [json.loads(await request.read())["VersionId"] for request in proxy.asked[1::2]] == ["1", "2"]
    found = of(settings, glue, "events_hive")
    assert found["Parameters"]["team"] == "red"
    assert found["StorageDescriptor"]["Columns"][-1]["Name"] == "mood"


async def test_another_drops_the_table_at_the_same_time(
    settings: Settings, proxy: Proxy, glue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made again."""
    await keep(settings)
    gone = [True]

    def rule(request: web.Request) -> None:
        if operation_of(request) == "UpdateTable" and gone:
            gone.pop()
            glue.delete_table(DatabaseName=settings.catalog.database, Name="events_hive")

    proxy.rule = rule
    monkeypatch.setattr(hive_tables, "TABLES", (with_another_column(EVENTS),))
    (result,) = await keep_hive_tables(settings, session, sleep=no_sleep)
    assert (result.outcome, result.error, gone) == ("created", None, [])


async def test_publishers_at_the_same_time(settings: Settings, proxy: Proxy, glue: Any) -> None:
    """They leave what one would."""
    assert proxy.url
    together = await asyncio.gather(*(keep_hive_tables(settings, session, sleep=no_sleep) for _ in range(3)))
    assert {result.error for results in together for result in results} == {None}
    assert await keep(settings) == ["unchanged"] * 4
    assert of(settings, glue, "events_hive")["Parameters"] == wanted_table(EVENTS, LAKE)["Parameters"]


async def test_changes_that_never_end(settings: Settings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries it is a failure that passes."""
    await keep(settings)
    proxy.rule = refusing("UpdateTable", "ConcurrentModificationException")
    monkeypatch.setattr(hive_tables, "TABLES", (with_another_column(EVENTS),))
    (result,) = await keep_hive_tables(settings, session, sleep=no_sleep)
    assert isinstance(result.error, GlueBusy)
    assert "was changed by others" in str(result.error)


async def test_a_throttle_is_tried_again(settings: Settings, proxy: Proxy) -> None:
    """Where it never ends, it is a failure that passes."""
    proxy.rule = once(refusing("GetTable", "ThrottlingException", "Rate exceeded"))
    assert await keep(settings) == ["created"] * 4
    proxy.rule = refusing("GetTable", "ThrottlingException", "Rate exceeded")
    patient = settings.model_copy(update={"retry": settings.retry.model_copy(update={"attempts": 1})})
    for result in await keep_hive_tables(patient, session):
        assert isinstance(result.error, GlueBusy)
        assert "Rate exceeded" in str(result.error)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answer(200, b"<html>", "text/html"), GlueRefused, "without a table"),
        (Answer(200, b"{}", "application/x-amz-json-1.1"), GlueRefused, "without a table"),
        (Answer(400, b"<html>"), GlueRefused, "with status 400, and no error of Glue's"),
        (Answer(502, b"<html>"), GlueBusy, "with status 502, and no error of Glue's"),
        (Answer(307, headers={"Location": "http://127.0.0.1:1/"}), GlueRefused, "with status 307"),
        (Answer(403, b"{}", "application/x-amz-json-1.1"), GlueRefused, "with status 403"),
        ("before", GlueBusy, "does not answer"),
    ],
)
async def test_what_is_not_glue(
    answer: Answer | Literal["before"], kind: type[Exception], said: str, settings: Settings, proxy: Proxy
) -> None:
    """One line of the catalog's own, with the host."""
    proxy.rule = lambda _: answer
    hasty = settings.model_copy(update={"retry": settings.retry.model_copy(update={"attempts": 1})})
    for result in await keep_hive_tables(hasty, session):
        assert type(result.error) is kind
        assert said in str(result.error)
        assert str(result.error).isprintable()


async def test_credentials_that_have_expired_are_read_anew(settings: Settings, proxy: Proxy) -> None:
    """Once; those that are not valid are none."""
    proxy.rule = once(refusing("CreateTable", "ExpiredTokenException"))
    assert await keep(settings) == ["created"] * 4
    for code in ("ExpiredTokenException", "UnrecognizedClientException"):
        proxy.rule = refusing("GetTable", code)
        with pytest.raises(CredentialsLost, match=code):
            await keep_hive_tables(settings, session)
    with pytest.raises(CredentialsLost, match="no AWS credentials were found"):
        await keep_hive_tables(settings, AioSession)


async def test_the_catalogs_own_properties(settings: Settings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, endpoint, account and keys by PyIceberg's names; without any region it is said what to set."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", "http://127.0.0.1:1")
    regionless = AioSession()
    regionless.set_credentials("a", "b")
    with pytest.raises(UsageError, match=r"set AWS_REGION, or glue\.region among"):
        await keep_hive_tables(settings, lambda: regionless)
    properties = {"glue.region": "eu-west-1", "glue.endpoint": proxy.url, "glue.id": "123456789012"}
    properties |= {"client.access-key-id": "of-the-catalog", "client.secret-access-key": "secret"}
    own = settings.model_dump() | {"catalog": settings.catalog.model_dump() | {"properties": properties}}
    results = await keep_hive_tables(Settings.model_validate(own), lambda: regionless, sleep=no_sleep)
    assert [result.outcome for result in results] == ["created"] * 4
    assert {json.loads(await request.read())["CatalogId"] for request in proxy.asked} == {"123456789012"}
    assert "Credential=of-the-catalog/" in proxy.asked[0].headers["Authorization"]
    assert "/eu-west-1/glue/" in proxy.asked[0].headers["Authorization"]
    own["catalog"]["properties"] = {"glue.region": "eu-west-1", "glue.endpoint": "http://user:secret@host"}
    with pytest.raises(UsageError, match=r"glue\.endpoint of catalog\.properties") as raised:
        await keep_hive_tables(Settings.model_validate(own), lambda: regionless)
    assert "secret" not in str(raised.value)


async def test_what_publish_notes(settings: Settings, proxy: Proxy, glue: Any) -> None:
    """A failure a table, or one for all of them; nothing is asked where the settings do not want the tables."""
    glue.create_database(DatabaseInput={"Name": settings.catalog.database})
    glue.create_table(DatabaseName=settings.catalog.database, TableInput={"Name": "stages_hive"})
    unwanted = ({"hive": False}, {"kind": "rest"})
    for changed in ({}, *unwanted):
        proxy.asked.clear()
        chosen = settings.model_copy(update={"catalog": settings.catalog.model_copy(update=changed)})
        publication = Publication()
        await publish_hive_tables(chosen, session, publication)
        noted = [(failure.unit, failure.error.kind) for failure in publication.failures]
        assert noted == ([] if changed else [(f"{settings.catalog.database}.stages_hive", "catalog_mismatch")])
        assert bool(proxy.asked) is not bool(changed)
    publication = Publication()
    await publish_hive_tables(settings, AioSession, publication)
    assert [(failure.unit, failure.error.kind) for failure in publication.failures] == [("hive", "credentials")]


async def test_a_lake_in_a_directory_has_none(settings: Settings, tmp_path: Path, proxy: Proxy) -> None:
    """Athena could not read it, and Glue is not asked."""
    assert await keep_hive_tables(settings.model_copy(update={"lake": str(tmp_path)}), session) == ()
    assert proxy.asked == []


def test_athenas_views_stand_on_the_catalogs_tables(
    moto: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a catalog of Glue's is set, `sql --engine athena` makes no tables; other engines know nothing of it."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL_S3": moto}.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="my-lake")
    s3.put_object(Bucket="my-lake", Key="ivs/events/event_date=2026-11-23/a.parquet", Body=b"")
    typed = ["sql", "--lake", LAKE, "--engine"]
    assert main([*typed, "athena"]) == 0
    assert "CREATE EXTERNAL TABLE" in capsys.readouterr().out
    monkeypatch.setenv("IVS_EXPORT_CATALOG__KIND", "glue")
    monkeypatch.setenv("IVS_EXPORT_CATALOG__DATABASE", settings.catalog.database)
    assert main([*typed, "athena"]) == 0
    printed = capsys.readouterr().out
    assert "CREATE EXTERNAL TABLE" not in printed
    assert f'FROM "{settings.catalog.database}".events' in printed
    assert main([*typed, "spark"]) == 0
    assert settings.catalog.database not in capsys.readouterr().out
