"""What ClickHouse's maintenance of an Iceberg table ends with: a program for the environment of the engines.

    python tests/catalog/clickhouse_maintenance.py TABLE STATEMENT...

``TABLE`` is a table's engine, such as ``IcebergLocal('/folder')``. A JSON object says of each of the statements,
which are asked in this order, what its error was, or null.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

#: What must be allowed; else snapshots of the last 5 days, and orphans of the last 3, would be kept.
_SETTINGS = {
    "allow_experimental_expire_snapshots": 1,
    "allow_iceberg_remove_orphan_files": 1,
    "allow_insert_into_iceberg": 1,
    "iceberg_delete_data_on_drop": 1,
    "iceberg_expire_default_max_snapshot_age_ms": 1,
    "iceberg_orphan_files_older_than_seconds": 1,
}
_STATEMENTS = {
    "orphans": "ALTER TABLE events EXECUTE remove_orphan_files()",
    "expire": "ALTER TABLE events EXECUTE expire_snapshots()",
    "drop": "DROP TABLE events",
}


def main(table: str, *asked: str) -> None:
    from chdb.session import Session  # noqa: PLC0415 - tests import this where there is none

    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)
        for name, value in _SETTINGS.items():
            session.query(f"SET {name} = {value}")
        session.query(f"CREATE TABLE events ENGINE = {table}")
        errors = {name: error_of(session, _STATEMENTS[name]) for name in asked}
        print(json.dumps(errors))  # noqa: T201 - what the caller waits for


def error_of(session: Any, statement: str) -> str | None:
    try:
        session.query(statement)
    except RuntimeError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
