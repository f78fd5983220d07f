"""``ivs-export sql``: what it prints is run as it stands, for the lake as it is."""

from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from exporter.cli.app import main
from exporter.cli.options import ENGINES
from exporter.views import engines
from exporter.views.statements import VIEWS, Dates, script, statements
from tests.support import tables_lake

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake without a log."""
    tables_lake.write(tmp_path / "the lake")
    return tmp_path / "the lake"


def test_the_views_of_a_lake(lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it is run from, also where a table has no file."""
    shutil.rmtree(lake / "stages")
    monkeypatch.chdir(lake.parent)
    assert main(["sql", "--engine", "duckdb", "--lake", "the lake"]) == 0
    printed = capsys.readouterr().out
    monkeypatch.chdir("/")
    with duckdb.connect() as connection:
        connection.execute(printed)
        for view in VIEWS:
            connection.execute(f"SELECT * FROM {view}")
        assert connection.execute("SELECT count(*) FROM participants_now").fetchall() == [(4,)]
        assert connection.execute("SELECT count(*) FROM stages").fetchall() == [(0,)]


def test_a_range_of_dates(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The statements of that range."""
    assert (
        main(["sql", "--engine", "spark", "--lake", str(lake), "--since", "2026-11-23", "--until", "2026-11-24"]) == 0
    )
    expected = statements("spark", str(lake), Dates(date(2026, 11, 23), date(2026, 11, 24)))
    assert capsys.readouterr().out == script(expected) + "\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--engine", "oracle"], "'oracle' is not one of 'duckdb', 'athena', 'spark', 'clickhouse'"),
        ([], "Missing option '--engine'"),
        (["--engine", "duckdb", "--since", "yesterday"], "'yesterday' does not match"),
        (["--engine", "duckdb", "--since", "2026-11-24", "--until", "2026-11-24"], "is not after --since 2026-11-24"),
        (["--engine", "athena"], "Athena reads lakes on S3 alone"),
    ],
)
def test_wrong_usage(typed: list[str], said: str, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and nothing printed."""
    assert main(["sql", "--lake", str(lake), *typed]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_no_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped place is an error, not a lake of empty tables."""
    assert main(["sql", "--engine", "duckdb", "--lake", str(tmp_path / "none")]) == 1
    assert "holds no export" in capsys.readouterr().err


def test_engines_are_those_of_the_views() -> None:
    """But for the one that tests alone use."""
    assert set(ENGINES) == set(engines.ENGINES) - {"datafusion"}
