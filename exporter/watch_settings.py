"""The settings by which a run is watched: its notices, its metrics and its logs."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from exporter.machine.loopback import is_loopback
from exporter.setting_types import CheckedText, Section

# Source: Amazon SNS Developer Guide, "Publishing": a topic's name has up to 256 letters, digits, - and _, and .fifo.
_TOPIC_ARN = re.compile(r"arn:aws:sns:(?P<region>[a-z0-9-]{1,40}):[0-9]{12}:[\w-]{1,256}", re.ASCII)

#: How log lines are written: ``auto`` is text on a terminal, and JSON elsewhere.
LogFormat = Literal["auto", "json", "text"]


class NotifySettings(Section):
    """Who hears of a run's end, and after which ends.

    ``webhook`` is the URL that takes the notice. What stands in it may be a secret, and is shown nowhere.
    """

    on: Literal["problem", "always"] = "problem"
    webhook: SecretStr | None = None
    sns_topic_arn: CheckedText | None = None

    @property
    def topic_region(self) -> str | None:
        """The region that the topic is in; None where there is no topic."""
        return None if self.sns_topic_arn is None else self.sns_topic_arn.split(":")[3]

    @field_validator("webhook")
    @classmethod
    def _check_webhook(cls, webhook: SecretStr | None) -> SecretStr | None:
        if webhook is not None and (fault := _fault_of(webhook.get_secret_value())):
            raise ValueError(fault)
        return webhook

    @field_validator("sns_topic_arn")
    @classmethod
    def _check_topic(cls, topic_arn: str | None) -> str | None:
        if topic_arn is not None and not _TOPIC_ARN.fullmatch(topic_arn):
            raise ValueError("should be a standard topic's ARN, such as arn:aws:sns:eu-west-1:123456789012:ivs-export")
        return topic_arn


class TelemetrySettings(Section):
    """Where a run's metrics are written for Prometheus, None for nowhere; and how its log lines are written."""

    metrics_file: CheckedText | None = None
    log_format: LogFormat = "auto"

    @field_validator("metrics_file")
    @classmethod
    def _check_metrics_file(cls, metrics_file: str | None) -> str | None:
        if metrics_file is not None and "://" in metrics_file:
            raise ValueError("should be a file of this machine: its node_exporter reads it")
        return metrics_file


def _fault_of(url: str) -> str | None:
    """What is wrong with a webhook's URL, in words that say nothing of it; None where nothing is."""
    if not _names_a_host(url) or not url.isascii() or not url.isprintable() or " " in url:
        return "should be a URL, such as https://host/path"
    if url[:8].lower() != "https://" and not is_loopback(url):
        return "should begin with https://: a notice goes over http:// to this machine alone"
    return None


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
