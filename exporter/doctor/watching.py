"""What those rest on who watch a run: the way of its notices, and the file of its metrics. No notice is sent.

None of it fails a run, so what is wrong is a warning.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exporter.aws.network import host_of
from exporter.doctor.check import Check, Examination
from exporter.ivs.http import proxy_for
from exporter.ivs.reach import NotReached, reach
from exporter.watching.metrics_file import fault_of_folder
from exporter.watching.notices import topic_endpoint

if TYPE_CHECKING:
    from exporter.settings import Settings

WEBHOOK, TOPIC, METRICS = "notice-webhook", "notice-topic", "metrics-file"
_WAY = "mend the host, the proxy or the certificates (AWS_CA_BUNDLE); a notice would not be sent"


def examinations(settings: Settings) -> list[Examination]:
    """The checks of what is configured, in their order."""
    wanted = {
        WEBHOOK: (settings.notify.webhook, check_webhook),
        TOPIC: (settings.notify.sns_topic_arn, check_topic),
        METRICS: (settings.telemetry.metrics_file, check_metrics_file),
    }
    needs = {TOPIC: ("credentials",)}
    return [
        Examination(name, partial(check, settings), needs.get(name, ()))
        for name, (value, check) in wanted.items()
        if value is not None
    ]


async def check_webhook(settings: Settings) -> Check:
    """Connect to the webhook's host. Nothing is asked of it: some take any request for news."""
    assert settings.notify.webhook is not None, "configured"  # noqa: S101 - for the type checker
    return await _reached(WEBHOOK, settings.notify.webhook.get_secret_value()) or Check(
        WEBHOOK, "ok", f"{host_of(settings.notify.webhook.get_secret_value())} can be reached; nothing was sent"
    )


async def check_topic(settings: Settings) -> Check:
    """Connect to SNS where the topic is."""
    url = await topic_endpoint(settings)
    detail = f"{host_of(url)} can be reached; whether sns:Publish is allowed shows with the first notice"
    return await _reached(TOPIC, url) or Check(TOPIC, "skipped", detail)


async def check_metrics_file(settings: Settings) -> Check:
    """Write beside the file what has no name, and see that the file is one."""
    path = settings.telemetry.metrics_file
    assert path is not None, "configured"  # noqa: S101 - for the type checker
    if fault := await fault_of_folder(path):
        remedy = "make its folder, and let the user who runs this write there; or name another file"
        return Check(METRICS, "warning", f"{path} can't be written: {fault}", remedy)
    return Check(METRICS, "ok", f"{path} can be written")


async def _reached(name: str, url: str) -> Check | None:
    """The check that failed; None where the host can be reached."""
    try:
        await reach(url, proxy_for(url))
    except NotReached as error:
        return Check(name, "warning", f"{host_of(url)} can't be reached: {error}", _WAY)
    return None
