"""Sends the notice of a run's end, to a webhook and to an SNS topic. One that can't be sent is a warning, and no more.

A webhook's URL may hold a secret, so nothing but its host is ever shown. No redirect is followed: what is said of a run
goes where its user said, and nowhere else.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from exporter.aws.network import distrust_of, host_of, system_cause
from exporter.errors import ApiError, ExportError
from exporter.ivs.http import open_connections, proxy_for
from exporter.ivs.http_library import aiohttp
from exporter.telemetry.logger import Logger
from exporter.text import one_line
from exporter.watching.notice import body_of, subject_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import Any

    from exporter.settings import HttpSettings, Settings

#: For one notice, from the first byte to the answer.
NOTICE_TIMEOUT_S = 10.0
_ANSWERS_TAKEN, _REDIRECTS = range(200, 300), range(300, 400)
_HEADERS = {"Content-Type": "application/json"}
_log = Logger(__name__)


class _NotSent(Exception):
    """A notice was not taken, and why; nothing of a URL stands in the text."""


async def send(settings: Settings, notice: Mapping[str, Any], timeout_s: float = NOTICE_TIMEOUT_S) -> None:
    """Send a notice to whom the settings name, at once to all, each within ``timeout_s``. It raises nothing."""
    notify = settings.notify
    sendings = []
    if notify.webhook is not None:
        url = notify.webhook.get_secret_value()
        sendings.append(_send_one(f"webhook at {host_of(url)}", _post(settings.http, url, notice), timeout_s))
    if notify.sns_topic_arn is not None:
        sendings.append(_send_one(notify.sns_topic_arn, _publish(settings, notice), timeout_s))
    await asyncio.gather(*sendings)


async def _send_one(to: str, sending: Awaitable[None], timeout_s: float) -> None:
    """Wait for a notice to be sent; where it is not, say why in a warning."""
    reason = None
    try:
        async with asyncio.timeout(timeout_s):
            await sending
    except TimeoutError:
        reason = f"no answer in {timeout_s:g} s"
    except _NotSent as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever AWS's libraries raise; its text may hold anything
        reason = type(error).__name__
    if reason is not None:
        _log.warning("a notice was not sent", to=to, reason=reason)


async def _post(http: HttpSettings, url: str, notice: Mapping[str, Any]) -> None:
    """POST a notice to a webhook. Raises :class:`_NotSent`."""
    try:
        async with open_connections(http) as connections:
            answer = await connections.post("notice", url, body_of(notice), _HEADERS, proxy_for(url))
    except ApiError as error:
        raise _NotSent(_reason_of(error.__cause__ or error)) from None
    except ExportError as error:  # proxy and certificates, named by their variables
        raise _NotSent(one_line(error)) from None
    if answer.status in _REDIRECTS:
        raise _NotSent(f"status {answer.status}: it redirects elsewhere, which is not followed")
    if answer.status not in _ANSWERS_TAKEN:
        raise _NotSent(f"status {answer.status}")


async def _publish(settings: Settings, notice: Mapping[str, Any]) -> None:
    """Publish a notice on a topic, with the run's own credentials. Raises :class:`_NotSent`."""
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - slow to import, and few have a topic

    from exporter.aws.errors import EXPLAINED, message_of  # noqa: PLC0415 - the same
    from exporter.aws.sessions import open_session  # noqa: PLC0415 - the same

    config = AioConfig(
        connect_timeout=settings.http.connect_timeout_s,
        read_timeout=settings.http.read_timeout_s,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    notify = settings.notify
    try:
        session = open_session()
        async with session.create_client("sns", region_name=notify.topic_region, config=config) as client:
            message = body_of(notice).decode()
            await client.publish(TopicArn=notify.sns_topic_arn, Message=message, Subject=subject_of(notice))
    except ExportError as error:
        raise _NotSent(one_line(error)) from None
    except EXPLAINED as error:
        raise _NotSent(message_of(error)) from None


async def topic_endpoint(settings: Settings) -> str:
    """Where SNS is asked. Raises :class:`ExportError` where AWS's own configuration can't be read."""
    from exporter.aws.errors import reading_configuration  # noqa: PLC0415 - as in `_publish`
    from exporter.aws.sessions import open_session  # noqa: PLC0415 - the same

    with reading_configuration("no way to SNS"):
        async with open_session().create_client("sns", region_name=settings.notify.topic_region) as client:
            url: str = client.meta.endpoint_url
    return url


def _reason_of(error: BaseException) -> str:
    """Why a request had no answer, without a word of its URL: of what is not known only the class is named."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = distrust_of(error.certificate_error)
        return f"its certificate is not trusted ({reason}): where a company's authority signs, set AWS_CA_BUNDLE"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refuses, with status {error.status}; look at HTTPS_PROXY and NO_PROXY"
    if isinstance(error, (TimeoutError, aiohttp.ServerDisconnectedError)):
        return "no answer in time" if isinstance(error, TimeoutError) else "the connection was closed before an answer"
    cause = getattr(error, "os_error", error)
    if isinstance(cause, socket.gaierror):
        return "its name does not resolve"
    if isinstance(cause, OSError) and cause.errno is not None:
        return system_cause(cause.errno)
    return type(error).__name__
