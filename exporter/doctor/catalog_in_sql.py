"""A catalog in SQL, looked at without a change: opened as a publication opens it, its file and tables would be made."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from exporter.catalog.errors import CatalogError

_BUSY_S = 2.0
_TABLE = "iceberg_tables"


@dataclass(frozen=True, slots=True)
class SqlLook:
    """What was seen of a database: its ``name``, whether it has a catalog's own tables, and whether it can be written.

    Of the last only SQLite can be asked without a change; False: not known.
    """

    name: str
    has_tables: bool
    is_writable: bool


def look_at_sql(uri: str) -> SqlLook:
    """Look at the database that a catalog's address names. It blocks.

    Raises :class:`CatalogError`, and what SQLAlchemy and its drivers raise.
    """
    from sqlalchemy import create_engine, inspect, make_url  # noqa: PLC0415 - an optional extra

    url = make_url(uri)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        _check_folder(path.parent)
        return SqlLook(str(path), path.exists() and _has_tables(path), is_writable=True)
    engine = create_engine(url)
    try:
        return SqlLook(f"the database {url.database}", inspect(engine).has_table(_TABLE), is_writable=False)
    finally:
        engine.dispose()


def _check_folder(folder: Path) -> None:
    """SQLite writes a journal beside its file. Raises :class:`CatalogError` where that can't be."""
    if not folder.is_dir():
        raise CatalogError(f"there is no folder {folder} for the catalog's SQLite file: make it, or mend uri")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CatalogError(
            f"the folder {folder} of the catalog's SQLite file can't be written ({error.strerror}): let the user who"
            " runs this write there"
        ) from error


def _has_tables(path: Path) -> bool:
    """Take the lock that a writer takes, look, and let it go. Raises :class:`CatalogError` where that can't be."""
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, timeout=_BUSY_S, isolation_level=None, uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            [count] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", [_TABLE]).fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise CatalogError(
            f"the catalog's SQLite file {path} can't be written ({error}): mend uri, or see who holds the file"
        ) from error
    return bool(count)
