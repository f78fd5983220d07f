"""The kinds of catalogs, opened: Glue, any Iceberg REST catalog, a database in SQL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.aws.credentials import keys_of
from exporter.aws.endpoints import check_endpoint_settings
from exporter.aws.errors import NO_CREDENTIALS, providing_credentials, reading_configuration
from exporter.aws.sessions import open_session
from exporter.catalog.foreign_errors import asking
from exporter.catalog.wanted import ELSEWHERE, with_driver
from exporter.errors import CredentialsLost, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog import Catalog

    from exporter.aws.sessions import MakeSession
    from exporter.settings import CatalogSettings, Settings

#: The name of a catalog in PyIceberg. It is none that a database can have: PyIceberg would take a database
#: of that name for the catalog's own.
NAME = "ivs-export"
#: How often Glue is asked by one call. PyIceberg's own ten would take minutes where nothing answers.
_TRIES, _TRIES_MAX = "glue.max-retries", 3
_SIGNED = "rest.sigv4-enabled"
#: How a catalog is opened that is only looked at: PyIceberg would make, or alter, the own tables of one in SQL.
MAKES_NOTHING = {"init_catalog_tables": "false", "schema_version": "v0"}
_SQL_TABLE = "iceberg_tables"


def plain_properties(settings: CatalogSettings) -> dict[str, str]:
    """The catalog's properties as PyIceberg takes them: their values may be secret."""
    return {name: value.get_secret_value() for name, value in settings.properties.items()}


def needs_aws(settings: CatalogSettings) -> bool:
    """Whether a catalog is asked with AWS's credentials, or has its tables on S3 apart from the lake."""
    properties = plain_properties(settings)
    is_signed = settings.kind == "rest" and properties.get(_SIGNED, "").lower() == "true"
    return settings.kind == "glue" or is_signed or properties.get(ELSEWHERE, "").startswith("s3://")


async def aws_properties(settings: Settings, make_session: MakeSession | None) -> dict[str, str]:
    """The run's own credentials and region, as PyIceberg takes them; none where the catalog is not AWS's.

    Raises :class:`CredentialsLost`, and :class:`UsageError` where there is no region, or a wrong endpoint.
    """
    if not needs_aws(settings.catalog):
        return {}
    for service in ("GLUE", "S3"):
        check_endpoint_settings(service)
    session = open_session() if make_session is None else open_session(make_session)
    with providing_credentials():
        found = await session.get_credentials()
    if found is None:
        raise CredentialsLost(NO_CREDENTIALS)
    keys = await keys_of(found)
    with reading_configuration("no region is set, and the AWS profile can't be read for one"):
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or _only_region(settings)
    if not region and not {"glue.region", "client.region", "rest.signing-region"} & settings.catalog.properties.keys():
        raise UsageError("no region is set for the catalog: set AWS_REGION, or glue.region among its properties")
    endpoints = (os.environ.get("AWS_ENDPOINT_URL_S3"), os.environ.get("AWS_ENDPOINT_URL"))
    properties = {
        "s3.endpoint": next(filter(None, endpoints), None),
        "client.access-key-id": keys.access_key,
        "client.secret-access-key": keys.secret_key,
        "client.session-token": keys.token,
        "client.region": region,
    }
    return {name: value for name, value in properties.items() if value}


def open_catalog(settings: CatalogSettings, properties: Mapping[str, str], of_files: Mapping[str, str]) -> Catalog:
    """Open the catalog. It blocks, and takes seconds to import.

    ``properties`` count for less than those that the user has set; ``of_files``, how files are reached, for more.

    Raises :class:`CatalogError`.
    """
    own = {**properties, **plain_properties(settings), **of_files}
    with asking("be opened", own):
        match settings.kind:
            case "glue":
                from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415 - slow; who has no catalog does without

                tries: Any = int(own.pop(_TRIES, _TRIES_MAX))  # by PyIceberg, which compares it as a number
                return GlueCatalog(NAME, **own, **{_TRIES: tries})
            case "rest":
                from pyiceberg.catalog.rest import RestCatalog  # noqa: PLC0415 - the same

                return RestCatalog(NAME, **own)
            case "sql":
                from exporter.catalog.sql import ClosingSqlCatalog  # noqa: PLC0415 - the same

                return ClosingSqlCatalog(NAME, **{**own, "uri": with_driver(own["uri"])})
            case _:
                raise AssertionError(f"no catalog is of the kind {settings.kind!r}")


def is_begun(settings: CatalogSettings) -> bool:
    """Whether the catalog can have any table: one in SQL may not be made yet. It blocks, and makes nothing.

    Raises :class:`CatalogError`.
    """
    if settings.kind != "sql":
        return True
    from sqlalchemy import create_engine, inspect, make_url  # noqa: PLC0415 - an optional extra

    own = plain_properties(settings)
    with asking("be opened", own):
        url = make_url(with_driver(own["uri"]))
        if url.get_backend_name() == "sqlite" and "uri" not in url.query:
            path = Path(url.database or "")
            if path.parent.is_dir() and not path.exists():  # connected to, an empty file would be made
                return False
        engine = create_engine(url)
        try:
            return inspect(engine).has_table(_SQL_TABLE)
        finally:
            engine.dispose()


def _only_region(settings: Settings) -> str | None:
    return settings.regions[0] if len(settings.regions) == 1 else None
