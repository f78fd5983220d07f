"""Runs and commands with a catalog: what they do at their end, what they say of it, and what they are without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli import exit_codes
from exporter.cli.app import main
from exporter.emulator import Emulator
from exporter.lake.stores.open import open_store
from exporter.lake.tables import TABLES
from exporter.pipeline.stop import DEADLINE, Stop
from exporter.settings import CatalogSettings, S3Settings
from tests.support.catalogs import CatalogLake, in_order, plain_rows
from tests.support.command import command_line, end_of, environment_of, started, until
from tests.support.exports import Exports, options_of
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECRET = "correct-horse"
#: What stands in a run's last record alone.
CLOSED = '"complete_until_us":1'


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[CatalogLake]:
    """A lake that no run has made yet, and a catalog that nothing has opened."""
    (tmp_path / "home").mkdir()
    database = tmp_path / "catalog.db"
    lake = CatalogLake("sql", str(tmp_path / "home" / "lake"), {"uri": f"sqlite:///{database}"}, "ivs")
    yield lake
    lake.close_readers()


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exports:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")
    return Exports(monkeypatch, tmp_path / "home" / "lake")


def catalog(uri: str, **more: Any) -> CatalogSettings:
    return CatalogSettings.model_validate({"kind": "sql", "properties": {"uri": uri}, **more})


async def check_whole(beside: CatalogLake) -> None:
    """The catalog has all rows of the lake, each once."""
    async with open_store(beside.address, beside.make_session, S3Settings()) as store:
        for table in TABLES:
            expected = await plain_rows(store, table.name)
            assert in_order(beside.rows(table.name)) == in_order(expected)
            assert expected


async def test_a_run_ends_with_its_catalog_up_to_date_or_says_what_failed(
    beside: CatalogLake, exports: Exports, tmp_path: Path
) -> None:
    """A catalog that can't be opened costs exit code 3 and nothing else, shows no secret, and is caught up later."""
    good = catalog(beside.properties["uri"])
    async with Emulator(options_of(small_world(3, active_share=0.0))) as emulator:
        away = await exports.run(emulator, catalog=catalog(f"sqlite:///{tmp_path}/no/such/folder.db?token={SECRET}"))
        assert (away.error, away.exit_code) == (None, exit_codes.PARTIAL)
        assert away.failed == {"catalog": "catalog"}
        assert away.summary["catalog"] == {"outcome": "failed", "behind": None}
        assert away.summary["more_to_do"] is True
        assert away.summary["events"]["written"] > 0
        assert SECRET not in json.dumps(away.summary)

        stopped = Stop()
        stopped.ask("SIGTERM")
        deferred = await exports.run(emulator, stop=stopped, catalog=good)
        assert deferred.summary["catalog"] in (None, {"outcome": "deferred", "behind": None})

        whole = await exports.run(emulator, catalog=good)
        assert (whole.exit_code, whole.summary["catalog"]) == (exit_codes.OK, {"outcome": "complete", "behind": 0})
        await check_whole(beside)
        over = Stop()
        over.ask(DEADLINE)
        late = await exports.run(emulator, stop=over, catalog=good)
        assert late.summary["catalog"] in (None, {"outcome": "complete", "behind": 0})


def publish(beside: CatalogLake, *options: str) -> list[str]:
    return ["publish", "--lake", beside.address, "--catalog", "sql", *options]


async def test_the_commands_say_what_is_published_and_what_is_behind(
    beside: CatalogLake, exports: Exports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`publish` with what it can do, and `status` beside it: for people and for programs, each with its exit code."""

    async def said(arguments: Sequence[str], code: int = exit_codes.OK) -> Any:
        assert await asyncio.to_thread(main, arguments) == code
        text = capsys.readouterr().out
        return json.loads(text) if "--json" in arguments else text

    monkeypatch.setenv("IVS_EXPORT_CATALOG__PROPERTIES", json.dumps(beside.properties))
    assert "has no _log/lake.json: the next `ivs-export run` makes it" in (await failed(publish(beside), capsys))
    async with Emulator(options_of(small_world(3, active_share=0.0))) as emulator:
        await exports.run(emulator)
    status = ["status", "--lake", beside.address, "--json"]
    assert (await said(status))["catalog"] is None
    monkeypatch.setenv("IVS_EXPORT_CATALOG__KIND", "sql")
    behind = (await said(status))["catalog"]["behind"]
    assert behind > 4
    database = Path(beside.properties["uri"].removeprefix("sqlite:///"))
    assert not await asyncio.to_thread(database.exists), "a look makes nothing"
    await asyncio.to_thread(database.touch)
    assert (await said(status))["catalog"] == {"outcome": "complete", "behind": behind}
    assert await asyncio.to_thread(database.read_bytes) == b"", "nor tables in a database that is there"
    first = await said(publish(beside, "--json"))
    assert (first["outcome"], first["catalog"]) == ("complete", {"outcome": "complete", "behind": 0})
    assert sum(table["files_added"] for table in first["tables"]) == behind
    assert "the catalog has all of the lake" in await said(publish(beside))
    assert "published       up to date" in await said(status[:-1])
    await check_whole(beside)
    assert (
        sum(table["files_added"] for table in (await said(publish(beside, "--rebuild", "--json")))["tables"]) == behind
    )
    await check_whole(beside)
    async with Emulator(options_of(small_world(4, active_share=0.0))) as emulator:
        await exports.run(emulator)
        await exports.run(emulator)
    small = await said(publish(beside, "--compact", "--json"))
    assert (small["outcome"], len(small["compacted"])) == ("complete", len(TABLES))
    assert sum(table["files_merged"] - table["files_made"] for table in small["compacted"]) > 0
    assert "events: no small files to merge" in await said(publish(beside, "--compact"))
    await check_whole(beside)
    assert await said(publish(beside, "--drop", "--json")) == {
        "lake": beside.address,
        "outcome": "complete",
        "dropped": [table.name for table in TABLES],
    }
    assert (await said(publish(beside, "--drop", "--json")))["outcome"] == "nothing"
    assert "no problems" in await said(["verify", "--lake", beside.address])

    monkeypatch.setenv("IVS_EXPORT_CATALOG__PROPERTIES", json.dumps({"uri": f"sqlite:////no/{SECRET}/x"}))
    shown = await said(status[:-1])
    assert "published       not known" in shown
    assert "failing         all: the catalog failed to be opened" in shown


async def failed(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert await asyncio.to_thread(main, arguments) == exit_codes.FAILED
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["publish"], "no catalog is named: use --catalog"),
        (["publish", "--catalog", "hive"], "--catalog: 'hive' is refused"),
        (["publish", "--catalog", "sql"], "needs its address, uri"),
        (["publish", "--catalog", "sql", "--rebuild", "--drop"], "--rebuild and --drop are two things"),
        (["publish", "--catalog", "sql", "--compact", "--drop"], "--compact and --drop are two things"),
        (["publish", "--catalog", "glue", "--lake", "a#b"], "its path has one of ? # %"),
        (["run", "--region", "eu-west-1", "--catalog", "rest"], "needs its address, uri"),
    ],
)
def test_what_is_no_catalog_is_refused_before_anything_is_started(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == exit_codes.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("place", ["/", "/events", "", "/_iceberg"])
def test_tables_have_no_place_among_the_lakes_files(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine may remove what lies there."""
    properties = {"uri": "http://c", "ivs-export.location": f"s3://bucket/lake{place}"}
    monkeypatch.setenv("IVS_EXPORT_CATALOG__PROPERTIES", json.dumps(properties))
    code = main(["publish", "--catalog", "rest", "--lake", "s3://bucket/lake"])
    assert (code, "apart from the lake's files" in capsys.readouterr().err) == (exit_codes.USAGE, True)


async def test_nothing_of_pyiceberg_is_imported_without_a_catalog(tmp_path: Path) -> None:
    """A run, status and verify bring what they brought before there were catalogs."""
    code = (
        "import sys; from exporter.cli.app import main; lake = ['--lake', sys.argv[1]];"
        "main(['run', '--region', 'us-east-1', '--calls-per-second', '5000', *lake]);"
        "main(['status', *lake]); main(['verify', *lake]);"
        "sys.stdout.write('\\n' + ' '.join({'pyiceberg', 'sqlalchemy'} & set(sys.modules)))"
    )
    async with Emulator(options_of(small_world(3, active_share=0.0))) as emulator:
        keys = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
        ended = await end_of([sys.executable, "-c", code, str(tmp_path / "lake")], environment_of(emulator.url, keys))
    assert "no problems" in ended.printed
    assert ended.printed.splitlines()[-1] == ""


def test_a_missing_extra_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Before anything is started."""
    monkeypatch.setitem(sys.modules, "pyiceberg", None)
    assert main(["publish", "--catalog", "glue", "--lake", "s3://bucket/lake"]) == exit_codes.USAGE
    assert "pip install 'ivs-export[catalog]'" in capsys.readouterr().err


@pytest.mark.slow
async def test_a_run_that_is_killed_at_its_catalog_leaves_it_to_the_next(beside: CatalogLake, tmp_path: Path) -> None:
    """By kill -9: between the closing record and the catalog, and while it publishes; then every row is there once."""
    database = tmp_path / "catalog.db"
    metadata = tmp_path / "home" / "lake" / "_iceberg" / "events" / "metadata"
    async with Emulator(options_of(small_world(5, active_share=0.0))) as emulator:
        environment = environment_of(
            emulator.url,
            {
                "AWS_ACCESS_KEY_ID": "emulator",
                "AWS_SECRET_ACCESS_KEY": "emulator",
                "IVS_EXPORT_CATALOG__KIND": "sql",
                "IVS_EXPORT_CATALOG__PROPERTIES": json.dumps(beside.properties),
            },
        )
        options = ("--lake", beside.address, "--json", "--region", "us-east-1", "--calls-per-second", "5000")
        command = command_line("run", *options)
        held = sqlite3.connect(database)
        held.execute("BEGIN EXCLUSIVE")  # whoever opens the catalog waits
        with started(command, environment) as first:
            logs = tmp_path / "home" / "lake" / "_log"
            await until(lambda: any(CLOSED in path.read_text() for path in logs.glob("*/records/*")))
            first.process.kill()
        held.rollback()
        held.close()
        assert not metadata.exists()
        with started(command, environment) as second:
            await until(lambda: any(metadata.glob("snap-*.avro")) or second.is_over)
            second.process.kill()
        last = await end_of(command, environment)
    assert (last.code, last.summary["catalog"]) == (exit_codes.OK, {"outcome": "complete", "behind": 0}), last.logged
    await check_whole(beside)
