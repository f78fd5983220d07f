"""What a seeded world shows of a stage: its name, its tags, where it is recorded. Name and tags may change, once.

Source of the members: API Reference, Stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.emulator.world.draws import draw, fraction

if TYPE_CHECKING:
    from exporter.emulator.world.texts import Texts

_TEAMS = ("live-events", "classrooms", "auctions", "support", "fitness")
_ENVIRONMENTS = ("production", "production", "production", "staging")
_BUCKET = "recordings-of-{account_id}"
_ID_LENGTH = 12


@dataclass(frozen=True, slots=True)
class StageChange:
    """The one change in a stage's life: from ``at_us`` on another name, other tags, or both."""

    at_us: int
    of_name: bool
    of_tags: bool


@dataclass(frozen=True, slots=True)
class StageText:
    """A stage's name, its tags (None where none are shown), and the bucket of its recordings, if there are any."""

    arn: str
    name: str
    tags: dict[str, str] | None
    bucket: str | None

    def members(self) -> dict[str, Any]:
        """What ListStages shows of them."""
        shown: dict[str, Any] = {"arn": self.arn, "name": self.name}
        return shown if self.tags is None else {**shown, "tags": self.tags}

    def detail_members(self) -> dict[str, Any]:
        """What GetStage shows beside the list's members."""
        account, stage = self.arn.split(":")[4], self.arn.rpartition("/")[2]
        region, code = self.arn.split(":")[3], stage[-_ID_LENGTH:]
        storage = "" if self.bucket is None else f"arn:aws:ivs:{region}:{account}:storage-configuration/{code}"
        host = f"{code.lower()}.global-bm.{region}.live-video.net"
        return {
            "autoParticipantRecordingConfiguration": {
                "storageConfigurationArn": storage,
                "mediaTypes": ["AUDIO_VIDEO"],
                "recordingReconnectWindowSeconds": 0,
                "recordParticipantReplicas": False,
            },
            "endpoints": {
                "events": f"wss://{host}/events",
                "whip": f"https://{host}",
                "rtmp": f"rtmp://{host}/app/",
                "rtmps": f"rtmps://{host}:443/app/",
            },
        }


def change_of(seed: int, start_us: int, end_us: int) -> StageChange | None:
    """When and how the stage with this seed changes between two moments; None where it does not."""
    number = draw(seed, b"change")
    kind = number % 4
    if kind == 0:
        return None
    at_us = start_us + int((end_us - start_us) * fraction(draw(seed, b"changes at")))
    return StageChange(at_us, of_name=kind in (1, 3), of_tags=kind in (2, 3))


def stage_text(arn: str, seed: int, texts: Texts, change: StageChange | None) -> StageText:
    """The texts of the stage with this seed; ``change`` is the change that it has gone through by now."""
    name = texts.stage_name(seed)
    if change is not None and change.of_name:
        name = texts.stage_name(draw(seed, b"new name"))
    is_recorded = draw(seed, b"recorded") % 2 == 0
    bucket = _BUCKET.format(account_id=arn.split(":")[4]) if is_recorded else None
    return StageText(arn, name, _tags(seed, texts, is_changed=change is not None and change.of_tags), bucket)


def _tags(seed: int, texts: Texts, *, is_changed: bool) -> dict[str, str] | None:
    number = draw(seed, b"tags")
    if number % 4 == 0 and not is_changed:
        return {} if number & 16 else None
    tags = {
        "team": _TEAMS[(number >> 8) % len(_TEAMS)],
        "environment": _ENVIRONMENTS[(number >> 16) % len(_ENVIRONMENTS)],
        "cost-center": f"cc-{1000 + (number >> 24) % 40}",
    }
    if is_changed:
        tags["environment"] = "retired"
        del tags["cost-center"]
    return texts.hostile_attributes(tags, draw(number, b"hostile", int(is_changed)))
