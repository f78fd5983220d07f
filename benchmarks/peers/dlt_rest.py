"""dlt with its own REST client in place of boto3, signed by botocore; else as `dlt_boto3`.

It keeps what botocore's parser would drop: tokens become columns, their capabilities a table of their own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from requests.auth import AuthBase

from benchmarks.peers.dlt_boto3 import run
from benchmarks.peers.task import REGION, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import PreparedRequest

    from benchmarks.peers.task import Unit


class _Signed(AuthBase):
    def __init__(self) -> None:
        self._signer = SigV4Auth(boto3.Session().get_credentials(), "ivs", REGION)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        signed = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(signed)
        request.headers.update(signed.headers.items())
        return request


def _client(url: str) -> RESTClient:
    paginator = JSONResponseCursorPaginator(cursor_path="nextToken", cursor_body_path="nextToken")
    return RESTClient(url, auth=_Signed(), paginator=paginator, data_selector="events")


def _pages(client: RESTClient, unit: Unit) -> Iterator[list[dict[str, Any]]]:
    yield from client.paginate("ListParticipantEvents", method="POST", json={**unit, "maxResults": 100})


if __name__ == "__main__":
    _told = task()
    run(_told, partial(_pages, _client(_told.url)))
