"""Whether the catalog that the settings want can be had: asked before anything is started, with nothing imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.lake.stores.open import is_on_s3
from exporter.machine.installation import how_to_add

if TYPE_CHECKING:
    from exporter.settings import Settings

#: Where tables keep what describes them, below the lake.
FOLDER = "_iceberg"
#: The property of a catalog that says where they do so else: many REST catalogs want it in a warehouse of their own.
ELSEWHERE = "ivs-export.location"
_IN_MEMORY = frozenset({"sqlite://", "sqlite:///", "sqlite:///:memory:"})
_MODULES = {"glue": ("pyiceberg", "boto3"), "rest": ("pyiceberg",), "sql": ("pyiceberg", "sqlalchemy")}
_POSTGRES_DRIVER = "psycopg"
_POSTGRES = f"postgresql+{_POSTGRES_DRIVER}"


def check_catalog(settings: Settings) -> None:
    """Raise :class:`UsageError` where a catalog is wanted and can't be had: an extra or a property is missing."""
    catalog = settings.catalog
    if not catalog.kind:
        return
    if missing := [module for module in _MODULES[catalog.kind] if find_spec(module) is None]:
        raise UsageError(f"catalog.kind: {catalog.kind} needs {missing[0]}, which is not here: {how_to_add('catalog')}")
    if catalog.kind in {"rest", "sql"} and "uri" not in catalog.properties:
        raise UsageError(
            f"catalog.properties: a catalog of the kind {catalog.kind} needs its address, uri:"
            " set properties in the file's [catalog], or IVS_EXPORT_CATALOG__PROPERTIES"
        )
    if catalog.kind == "sql":
        _check_database(catalog.properties["uri"].get_secret_value())
    places_of(settings)


def _check_database(uri: str) -> None:
    if uri in _IN_MEMORY:
        raise UsageError(
            "catalog.properties: uri names a database in memory, which is gone with the process: name a file, such as"
            " sqlite:////var/lib/ivs/catalog.db"
        )
    if with_driver(uri).startswith(f"{_POSTGRES}:") and find_spec(_POSTGRES_DRIVER) is None:
        raise UsageError(
            f"catalog.properties: a catalog in PostgreSQL needs {_POSTGRES_DRIVER}, which is not here:"
            f" {how_to_add('postgres')}"
        )


def with_driver(uri: str) -> str:
    """The address of a database, which names the driver where it is PostgreSQL's: SQLAlchemy's own choice varies."""
    scheme, colon, rest = uri.partition(":")
    return f"{_POSTGRES}{colon}{rest}" if scheme in {"postgres", "postgresql"} else uri


@dataclass(frozen=True, slots=True)
class Places:
    """Where a lake is, and where its tables keep what describes them: as all engines know it, no slash at the end."""

    lake: str
    tables: str


def places_of(settings: Settings) -> Places:
    """Where the lake is, and where its tables are: below it, or where the property `ELSEWHERE` says.

    An engine may remove what lies at a table's place. So the lake's files must not. Raises :class:`UsageError`.
    """
    lake = _url_of_lake(settings.lake)
    named = settings.catalog.properties.get(ELSEWHERE)
    if named is None:
        return Places(lake, f"{lake}/{FOLDER}")
    tables = named.get_secret_value().rstrip("/")
    is_apart = tables.startswith(f"{lake}/{FOLDER}/") or not f"{tables}/".startswith(f"{lake}/")
    if "://" not in tables or not is_apart or f"{lake}/".startswith(f"{tables}/"):
        raise UsageError(
            f"catalog.properties: {ELSEWHERE} should be a URL, such as s3://warehouse/ivs, apart from the lake's files"
        )
    return Places(lake, tables)


def _url_of_lake(address: str) -> str:
    """The URL of a lake. Raises :class:`UsageError` for a path that no URL of a file can hold."""
    if is_on_s3(address):
        return address.rstrip("/")
    path = str(Path(address).resolve())
    if any(letter in path for letter in "?#%"):
        raise UsageError(
            f"lake: {address} can't stand in a catalog: its path has one of ? # %, which URLs give a meaning"
        )
    return f"file://{path}"
