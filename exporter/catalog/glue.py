"""Glue, asked with the exporter's own credentials: one call at a time, and each error the catalog's."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig

from exporter import __version__
from exporter.aws.credentials import keys_of
from exporter.aws.endpoints import check_endpoint, check_endpoint_settings
from exporter.aws.errors import NO_CREDENTIALS, providing_credentials, reading_configuration
from exporter.catalog.glue_errors import GlueBusy, GlueRefused, NotInGlue, translated
from exporter.catalog.kinds import plain_properties
from exporter.errors import CredentialsLost, UsageError
from exporter.lake.stores.s3.http import BoundedSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiobotocore.session import AioSession

    from exporter.settings import Settings


class GlueDatabase:
    """One database of Glue's, by a ``client`` of botocore's that signs with ``provided`` credentials.

    A call with all its attempts takes ``timeout_s`` at most. Each method raises :class:`GlueBusy`,
    :class:`GlueRefused` and :class:`CredentialsLost`.
    """

    def __init__(self, client: Any, provided: Any, name: str, catalog_id: str | None, timeout_s: float) -> None:  # noqa: ANN401 - botocore has no types
        self.name = name
        self._client = client
        self._provided = provided
        self._catalog = {} if catalog_id is None else {"CatalogId": catalog_id}
        self._timeout_s = timeout_s
        self._host = urlsplit(client.meta.endpoint_url).netloc

    async def is_there(self) -> bool:
        """Whether Glue has the database."""
        try:
            await self._call("get_database", Name=self.name)
        except NotInGlue:
            return False
        return True

    async def table(self, name: str) -> Mapping[str, Any] | None:
        """The table of that name, as Glue describes it; None where there is none, or no database."""
        try:
            answer = await self._call("get_table", DatabaseName=self.name, Name=name)
        except NotInGlue:
            return None
        if not isinstance(answer.get("Table"), dict):
            raise GlueRefused(f"glue: get_table is answered by {self._host} without a table: that is not Glue")
        table: Mapping[str, Any] = answer["Table"]
        return table

    async def create(self, table_input: Mapping[str, Any]) -> None:
        """Make a table. Raises `NotInGlue` where there is no database, and `GlueChanged` where there is a table."""
        await self._call("create_table", DatabaseName=self.name, TableInput=table_input)

    async def update(self, table_input: Mapping[str, Any], version_id: str | None) -> None:
        """Change a table that is still what it was in that version.

        Raises `GlueChanged` where it is not, and `NotInGlue` where it is gone.
        """
        version = {} if version_id is None else {"VersionId": version_id}
        await self._call("update_table", DatabaseName=self.name, TableInput=table_input, **version)

    async def delete(self, name: str) -> None:
        """Take a table's entry away. Raises `NotInGlue` where there is none."""
        await self._call("delete_table", DatabaseName=self.name, Name=name)

    async def make(self) -> None:
        """Make the database. Raises `GlueChanged` where it is there by now."""
        await self._call(
            "create_database", DatabaseInput={"Name": self.name, "Description": "Amazon IVS Real-Time, by ivs-export"}
        )

    async def _call(self, method: str, **members: Any) -> Mapping[str, Any]:  # noqa: ANN401 - what botocore takes
        try:
            async with asyncio.timeout(self._timeout_s):
                await keys_of(self._provided)  # so that what a provider raises is not taken for Glue's
                answer: Mapping[str, Any] = await getattr(self._client, method)(**self._catalog, **members)
        except TimeoutError as error:
            raise GlueBusy(f"glue does not answer ({self._host}: {method}, in {self._timeout_s:g} s)") from error
        except Exception as error:
            raise translated(error, method, self._host) from error
        return answer


@asynccontextmanager
async def open_glue(settings: Settings, session: AioSession) -> AsyncIterator[GlueDatabase]:
    """Open the database that the settings name.

    Region, endpoint, account and keys are the catalog's properties where they say so (by PyIceberg's names), else those
    of AWS's own settings. Raises :class:`UsageError` where there is no region or a wrong endpoint, and
    :class:`CredentialsLost`.
    """
    check_endpoint_settings("GLUE")
    properties = plain_properties(settings.catalog)
    with providing_credentials():
        provided = await session.get_credentials()
    if provided is None:
        raise CredentialsLost(NO_CREDENTIALS)
    region = _of(properties, "region") or _own_region(settings, session)
    if not region:
        raise UsageError("no region is set for the catalog: set AWS_REGION, or glue.region among its properties")
    endpoint = properties.get("glue.endpoint")
    if endpoint:
        check_endpoint(endpoint, "glue.endpoint of catalog.properties")
    async with AsyncExitStack() as stack:
        with reading_configuration("no way to Glue"):
            opening = session.create_client(
                "glue",
                region_name=region,
                endpoint_url=endpoint,
                aws_access_key_id=_of(properties, "access-key-id"),
                aws_secret_access_key=_of(properties, "secret-access-key"),
                aws_session_token=_of(properties, "session-token"),
                config=_config(settings),
            )
            client = await stack.enter_async_context(opening)
        check_endpoint(client.meta.endpoint_url, "the profile's endpoint_url")
        catalog_id, name = properties.get("glue.id"), settings.catalog.database
        yield GlueDatabase(client, provided, name, catalog_id, settings.retry.timeout_s)


def _own_region(settings: Settings, session: AioSession) -> str | None:
    """The region of AWS's own settings, or the only one that is exported."""
    with reading_configuration("no region is set, and the AWS profile can't be read for one"):
        region: str | None = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    return region or (settings.regions[0] if len(settings.regions) == 1 else None)


def _of(properties: Mapping[str, str], name: str) -> str | None:
    """A property of Glue's own, else the one of all clients of AWS's."""
    return properties.get(f"glue.{name}") or properties.get(f"client.{name}")


def _config(settings: Settings) -> AioConfig:
    return AioConfig(
        connect_timeout=settings.http.connect_timeout_s,
        read_timeout=settings.http.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": settings.retry.attempts},
        user_agent_extra=f"ivs-export/{__version__}",
        http_session_cls=BoundedSession,
    )
