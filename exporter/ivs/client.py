"""One attempt at a call: signed, sent, and its raw answer read.

botocore's way from a call to its answer costs many times what sending takes, and its parser takes a broken body for an
empty list and drops what its model lacks. So neither is used (docs/decisions/0001-raw-answers.md and 0006).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.aws.network import host_of
from exporter.errors import CredentialsLost, Malformed, Transient
from exporter.ivs.refusals import read_refusal
from exporter.ivs.responses import Page, read_page, unpacked
from exporter.ivs.service_time import FarDates, ServiceTime
from exporter.ivs.signing import Signer
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.aws.credentials import Credentials, Keys
    from exporter.ivs.endpoints import Endpoint
    from exporter.ivs.http import Connections
    from exporter.ivs.operations import Operation

_OK = 200
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Client:
    """IVS Real-Time in one scope.

    ``wall_us`` is the local clock in microseconds since the epoch; ``signing_us`` dates signatures, where that is
    another clock. ``service_time`` follows the ``Date`` of the answers.
    """

    credentials: Credentials
    endpoint: Endpoint
    connections: Connections
    wall_us: Callable[[], int]
    far_dates: FarDates = field(default_factory=FarDates)
    signing_us: Callable[[], int] | None = None
    service_time: ServiceTime = field(init=False)
    _signer: Signer = field(init=False)

    def __post_init__(self) -> None:
        self._signer = Signer(self.endpoint.signed_service, self.endpoint.signed_region)
        self.service_time = ServiceTime(self.wall_us, self.far_dates)

    def host_of(self, operation: Operation) -> str:
        """The host that is asked, with its port, for errors."""
        return host_of(self.endpoint.urls[operation])

    async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        """Make one attempt.

        Raises :class:`Throttled`, :class:`Transient` (also :class:`Malformed`), :class:`Refused`, :class:`Endless` or
        a :class:`ScopeLost`. Expired credentials that could be read anew are a :class:`Transient`.
        """
        keys = await self.credentials.keys()
        try:
            return await self._attempt(operation, params, keys)
        except CredentialsLost as error:
            if error.is_expired and await self.credentials.renew(keys):
                raise Transient(f"{operation}: the credentials had expired and were read anew") from error
            raise

    async def _attempt(self, operation: Operation, params: Mapping[str, Any], keys: Keys) -> Page:
        url, sent = self.endpoint.urls[operation], _encode(params)
        now_us = (self.signing_us or self.wall_us)()
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_us // SECOND_US))
        headers = self._signer.headers(url, sent, keys, at)
        asked = self.service_time.asked()
        answer = await self.connections.post(operation, url, sent, headers, self.endpoint.proxy)
        if answer.status == _OK:
            body = unpacked(operation, answer.headers.get("Content-Encoding", ""), answer.body)
            served_us = self.service_time.answered(answer.headers.get("Date", ""), asked)
            try:
                return read_page(operation, body, served_us)
            except Malformed as error:
                raise Malformed(f"{error}; {self.host_of(operation)} was asked") from error
        named = {name.lower(): value for name, value in answer.headers.items()}
        now = datetime.fromtimestamp(self.wall_us() / SECOND_US, UTC)
        raise read_refusal(operation, answer.status, named, answer.body, now, url=url, proxy=self.endpoint.proxy)
