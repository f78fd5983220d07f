"""Where IVS Real-Time answers: as botocore finds it from its rules, the environment and the profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.aws.endpoints import check_endpoint, check_endpoint_settings
from exporter.aws.errors import reading_configuration
from exporter.ivs.http import proxy_for
from exporter.ivs.operations import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobotocore.session import AioSession

_SERVICE = "ivs-realtime"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service answers in one region.

    ``urls`` are those to POST to, and ``proxy`` is the one to pass, if any. ``signed_service`` and ``signed_region``
    are the names that signatures have for the two.
    """

    urls: Mapping[Operation, str]
    proxy: str | None = field(repr=False)
    signed_service: str
    signed_region: str


async def find_endpoint(session: AioSession, region: str) -> Endpoint:
    """Find where the service answers in a region, as botocore does. It takes milliseconds, so a run asks once a region.

    Raises :class:`UsageError` where the endpoint or another setting of AWS's own is wrong.
    """
    check_endpoint_settings("IVS_REALTIME")
    with reading_configuration("AWS's own settings can't be used"):
        async with session.create_client(_SERVICE, region_name=region) as client:
            model = client.meta.service_model
            base = client.meta.endpoint_url.rstrip("/")
            urls = {name: base + model.operation_model(name).http["requestUri"] for name in Operation}
            service, signed_region = model.signing_name, client.meta.region_name
    check_endpoint(base, "the endpoint_url of the AWS profile")
    return Endpoint(urls, proxy_for(base), service, signed_region)
