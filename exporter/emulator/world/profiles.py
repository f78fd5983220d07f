"""What a seeded world shows of a participant beside its comings and goings: who it is, and what it takes part with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from exporter.emulator.world.devices import device_of, provider_of
from exporter.emulator.world.draws import draw
from exporter.emulator.world.iso_forms import UTC_SECONDS, time_text

if TYPE_CHECKING:
    from exporter.emulator.world.people import Person
    from exporter.emulator.world.texts import Texts

# What a participant that has none of something shows of it. Source: API Reference, Participant, and AWS's samples.
_BLANK: tuple[dict[str, Any], ...] = (
    {},
    {"ingestConfigurationArn": "", "redundantIngest": False, "replicationState": ""},
    {"redundantIngest": False},
    {"ingestConfigurationArn": None, "sourceStageArn": None, "sourceSessionId": None},
    {"sourceStageArn": "", "sourceSessionId": ""},
)
#: What is shown of a participant that is not recorded.
NO_RECORDING = {"recordingS3BucketName": "", "recordingS3Prefix": ""}
_PROTOCOLS = ("WHIP", "RTMPS", "WHIP", "RTMP")
# Members that calls and filters go by, and the user's id, whose own text is a hostile one already.
_SPARED = frozenset({"participantId", "userId", "state", "firstJoinTime"})


@dataclass(frozen=True, slots=True)
class Ingest:
    """A broadcast that comes in without a participant token, over WHIP or RTMP."""

    configuration_arn: str
    protocol: str
    is_redundant: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Where a publisher is recorded to: a folder of a bucket."""

    bucket: str
    folder: str

    def state(self, stage: Literal["before", "now", "after"], seed: int) -> str:
        """The recording's state before, while and after its publisher is there."""
        if draw(seed, b"recording fails") % 40 == 0:
            return "FAILED"
        return {"before": "STARTING", "now": "ACTIVE", "after": "STOPPED"}[stage]


@dataclass(frozen=True, slots=True)
class Profile:
    """A participant as its customer and its device describe it. ``seed`` is the participant's own.

    ``ingest`` is None for one who came with a token, ``recording`` for one who is not recorded.
    """

    seed: int
    person: Person
    texts: Texts
    ingest: Ingest | None
    recording: Recording | None

    def user_members(self) -> dict[str, Any]:
        """The user's id; some participants have none, and some an empty one."""
        if self.seed % 8:
            return {"userId": self.person.user_id}
        return {"userId": ""} if self.seed % 16 else {}

    def listed_members(self) -> dict[str, Any]:
        """What ListParticipants shows of an ingest, and of what the participant has nothing of."""
        blank = _BLANK[draw(self.seed, b"blank") % len(_BLANK)]
        if self.ingest is None:
            return dict(blank)
        return {
            **blank,
            "ingestConfigurationArn": self.ingest.configuration_arn,
            "redundantIngest": self.ingest.is_redundant,
        }

    def detail_members(self, first_us: int) -> dict[str, Any]:
        """What GetParticipant shows beside the list's members."""
        return {"attributes": self._attributes(), **self._client(), **self._recorded(first_us)}

    def finished(self, shown: dict[str, Any]) -> dict[str, Any]:
        """What is shown, in a hostile world with such texts in the members whose values nothing else rests on."""
        return self.texts.spoiled(shown, self.seed, spared=_spared(shown))

    def _attributes(self) -> dict[str, str]:
        seed, person = draw(self.seed, b"attributes"), self.person
        if self.ingest is not None or seed % 12 == 0:
            return {}
        attributes = {"displayName": person.name, "plan": person.plan, "country": person.country}
        if seed % 3:
            attributes["device"] = device_of(self._device_seed).kind
        if seed % 5 == 0:
            attributes["campaign"] = ("spring-launch", "newsletter", "partner")[(seed >> 8) % 3]
        return self.texts.hostile_attributes(attributes, seed)

    def _client(self) -> dict[str, Any]:
        provider = provider_of(self.person.country, self._device_seed)
        if self.ingest is not None:
            return {"ispName": provider, "osName": "", "sdkVersion": "", "protocol": self.ingest.protocol}
        device = device_of(self._device_seed)
        client = {"ispName": provider, "osName": device.os_name, "osVersion": device.os_version}
        if device.browser_name or self.seed % 3 == 0:
            client |= {"browserName": device.browser_name, "browserVersion": device.browser_version}
        return client | {"sdkVersion": device.sdk_version, "protocol": "UNKNOWN"}

    def _recorded(self, first_us: int) -> dict[str, Any]:
        if self.recording is None:
            return dict(NO_RECORDING) if draw(self.seed, b"no recording") % 2 else {}
        began = time_text(first_us, UTC_SECONDS).replace(":", "-")
        return {
            "recordingS3BucketName": self.recording.bucket,
            "recordingS3Prefix": f"{self.recording.folder}/{began}",
        }

    @property
    def _device_seed(self) -> int:
        """Most people keep to one device."""
        seed = draw(self.seed, b"device")
        return self.person.seed if seed % 4 else seed


def ingest_of(seed: int, person: Person, scope: str) -> Ingest | None:
    """The ingest of a publisher with this seed, None for most. ``scope`` is the region and the account of its ARN."""
    number = draw(seed, b"ingest")
    if number % 6:
        return None
    protocol = _PROTOCOLS[(number >> 8) % len(_PROTOCOLS)]
    code = f"{person.seed:020d}"[-12:]
    is_redundant = protocol != "WHIP" and number >> 16 & 1 == 1
    return Ingest(f"arn:aws:ivs:{scope}:ingest-configuration/{code}", protocol, is_redundant)


def _spared(shown: dict[str, Any]) -> frozenset[str]:
    """A replication's own members are true in hostile worlds, too, where there is one."""
    if shown.get("replicationType") == "NONE":
        return _SPARED
    return _SPARED | {name for name in shown if name.startswith(("replication", "source"))}
