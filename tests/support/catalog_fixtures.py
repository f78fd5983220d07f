"""Fresh lakes, each beside a catalog: fixtures that a suite takes into its own conftest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.catalogs import KINDS, catalog_lakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.catalogs import CatalogLake

#: Each worker of pytest has servers of its own; SeaweedFS's tests share one.
SEAWEEDFS = pytest.mark.xdist_group("seaweedfs")


@pytest.fixture(
    scope="session", params=[pytest.param(kind, marks=SEAWEEDFS) if kind == "rest" else kind for kind in KINDS]
)
def lakes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[CatalogLake]]:
    """Fresh lakes beside a catalog of each kind."""
    with catalog_lakes(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
def lake(lakes: Iterator[CatalogLake], monkeypatch: pytest.MonkeyPatch) -> CatalogLake:
    """A fresh one, which this process can reach."""
    return reachable(next(lakes), monkeypatch)


@pytest.fixture(scope="session")
def sql_lakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[CatalogLake]]:
    with catalog_lakes("sql", tmp_path_factory.mktemp("sql")) as found:
        yield found


@pytest.fixture
def sql_lake(sql_lakes: Iterator[CatalogLake]) -> CatalogLake:
    """A fresh lake in a directory, beside a catalog in SQLite: what needs no server."""
    return next(sql_lakes)


def reachable(lake: CatalogLake, monkeypatch: pytest.MonkeyPatch) -> CatalogLake:
    """The lake, with what its catalog needs in the environment."""
    for name, value in lake.environment.items():
        monkeypatch.setenv(name, value)
    return lake
