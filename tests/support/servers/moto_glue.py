"""moto's Glue and S3 in this process, with the compare-and-set that Glue has and moto lacks."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.glue.responses import GlueResponse

from tests.support.servers.moto_s3 import moto_s3

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConcurrentModificationException(JsonRESTError):
    def __init__(self) -> None:
        super().__init__("ConcurrentModificationException", "Update table failed due to concurrent modifications.")


@contextmanager
def moto_glue() -> Iterator[str]:
    """A server that takes any credentials; gives its endpoint. UpdateTable keeps to its ``VersionId``, if it has one.

    Source: Glue API Reference, "UpdateTable".
    """
    own: Any = GlueResponse
    passed_on, lock = own.update_table, threading.Lock()

    def update_table(response: Any) -> Any:
        with lock:
            name = response.parameters["TableInput"]["Name"]
            table = response.glue_backend.get_table(response.parameters["DatabaseName"], name)
            if response.parameters.get("VersionId") not in {None, table.as_dict()["VersionId"]}:
                raise ConcurrentModificationException
            return passed_on(response)

    own.update_table = update_table
    try:
        with moto_s3() as endpoint:
            yield endpoint
    finally:
        own.update_table = passed_on
