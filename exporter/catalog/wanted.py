"""Whether the catalog that the settings want can be had: asked before anything is started, with nothing imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.lake.stores.open import is_on_s3

if TYPE_CHECKING:
    from exporter.settings import Settings

_MODULES = {"glue": ("pyiceberg", "boto3"), "rest": ("pyiceberg",), "sql": ("pyiceberg", "sqlalchemy")}


def check_catalog(settings: Settings) -> None:
    """Raise :class:`UsageError` where a catalog is wanted and can't be had: an extra or a property is missing."""
    catalog = settings.catalog
    if not catalog.kind:
        return
    if missing := [module for module in _MODULES[catalog.kind] if find_spec(module) is None]:
        raise UsageError(
            f"catalog.kind: {catalog.kind} needs {missing[0]}, which is not here: pip install 'ivs-export[catalog]'"
        )
    if catalog.kind in {"rest", "sql"} and "uri" not in catalog.properties:
        raise UsageError(f"catalog.properties: a catalog of the kind {catalog.kind} needs its address, uri")
    url_of_lake(settings.lake)


def url_of_lake(address: str) -> str:
    """The URL of a lake, as tables name it. Raises :class:`UsageError` for a path that no URL of a file can hold."""
    if is_on_s3(address):
        return address.rstrip("/")
    path = str(Path(address).resolve())
    if any(letter in path for letter in "?#%"):
        raise UsageError(
            f"lake: {address} can't stand in a catalog: its path has one of ? # %, which URLs give a meaning"
        )
    return f"file://{path}"
