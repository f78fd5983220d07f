"""The items of listings under the names that IVS gives, and as values. Pure.

Source of the names: the botocore model `ivs-realtime` of botocore 1.44.8, StageSummary, StageSessionSummary,
ParticipantSummary and Participant.

``state`` and ``activeSessionId`` are read and dropped on purpose: they say what was so when the page was made, and are
stale when a row is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic

import msgspec
from msgspec import UNSET, UnsetType

from exporter.normalize.listed_model import (
    DescribedParticipant,
    Item,
    ListedParticipant,
    ListedSession,
    ListedStage,
    ParticipantDetails,
)
from exporter.normalize.members import is_flag, is_object, is_text
from exporter.timestamps import read_us

Text = str | UnsetType | None
Flag = bool | UnsetType | None
TextMap = dict[str, str] | UnsetType | None

#: What is left of an item beside its known members that can be read, by name.
Left = Mapping[str, list[Any]]


class StageItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A stage; of this and the other items a member that is absent is UNSET."""

    arn: Text = UNSET
    name: Text = UNSET
    active_session_id: Text = UNSET
    tags: TextMap = UNSET


class SessionItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A session."""

    session_id: Text = UNSET
    start_time: Text = UNSET
    end_time: Text = UNSET


class ParticipantItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A participant as it is listed. ``attributes`` are in no list yet, and would be taken if they came."""

    participant_id: Text = UNSET
    user_id: Text = UNSET
    state: Text = UNSET
    first_join_time: Text = UNSET
    published: Flag = UNSET
    recording_state: Text = UNSET
    replication_type: Text = UNSET
    replication_state: Text = UNSET
    source_stage_arn: Text = UNSET
    source_session_id: Text = UNSET
    ingest_configuration_arn: Text = UNSET
    redundant_ingest: Flag = UNSET
    attributes: TextMap = UNSET


class DescribedItem(ParticipantItem, rename="camel", forbid_unknown_fields=True, gc=False):
    """A participant as GetParticipant describes it."""

    isp_name: Text = UNSET
    os_name: Text = UNSET
    os_version: Text = UNSET
    browser_name: Text = UNSET
    browser_version: Text = UNSET
    sdk_version: Text = UNSET
    protocol: Text = UNSET
    recording_s3_bucket_name: Text = UNSET
    recording_s3_prefix: Text = UNSET


class SharedTexts:
    """Gives one object for texts that are equal, so that thousands of items hold it once."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def __call__(self, text: Text) -> str | None:
        """The text, None where there is none."""
        return self._texts.setdefault(text, text) if text else None


def _is_time(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return is_text(value) and read_us(value) is not None


_FITS: Mapping[Any, Callable[[Any], bool]] = {Text: is_text, Flag: is_flag, TextMap: is_object}


class Kind(Generic[Item]):
    """One kind of items: how it is listed, read, and made a value.

    ``member`` is the list's name, ``id_name`` that of the item's id, and ``thing`` what a flaw calls one. ``times`` are
    the fields of ``wire`` that are times. ``value`` makes an item's value, of its members, its ``extra``, and what is
    left of it.
    """

    def __init__(
        self,
        wire: type[msgspec.Struct],
        member: str,
        thing: str,
        value: Callable[[Any, str | None, Left, SharedTexts], Item],
        times: tuple[str, ...] = (),
    ) -> None:
        fields = msgspec.structs.fields(wire)
        self.wire = wire
        self.member = member
        self.thing = thing
        self.value: Callable[[Any, str | None, Left, SharedTexts], Item] = value
        self.id_name = fields[0].encode_name
        #: Whether a value that was read member by member fits its field, by the member's name.
        self.fits = {own.encode_name: _is_time if own.name in times else _FITS[own.type] for own in fields}
        #: The names of the members that are maps.
        self.maps = frozenset(own.encode_name for own in fields if own.type == TextMap)
        self.decode: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[wire]).decode  # type: ignore[valid-type] # a type at run time
        self._id = fields[0].name
        self._times = times

    def is_plain(self, item: msgspec.Struct) -> bool:
        """Whether an item has an id, and no time that can't be read."""
        texts = [getattr(item, name) for name in self._times]
        return bool(getattr(item, self._id)) and all(not text or read_us(text) is not None for text in texts)


def _stage(item: StageItem, extra: str | None, _: Left, __: SharedTexts) -> ListedStage:
    return ListedStage(item.arn or "", item.name or None, _map(item.tags), extra)


def _session(item: SessionItem, extra: str | None, left: Left, _: SharedTexts) -> ListedSession:
    unreadable = left["endTime"][-1] if "endTime" in left and not item.end_time else None
    return ListedSession(
        item.session_id or "",
        _time_us(item.start_time),
        _time_us(item.end_time),
        None if unreadable is None else _shown(unreadable),
        extra,
    )


def _participant(item: ParticipantItem, extra: str | None, _: Left, share: SharedTexts) -> ListedParticipant:
    return ListedParticipant(
        participant_id=item.participant_id or "",
        user_id=item.user_id or None,
        first_join_us=_time_us(item.first_join_time),
        published=_flag(item.published),
        recording_state=share(item.recording_state),
        replication_type=share(item.replication_type),
        replication_state=share(item.replication_state),
        source_stage_arn=share(item.source_stage_arn),
        source_session_id=share(item.source_session_id),
        ingest_configuration_arn=share(item.ingest_configuration_arn),
        redundant_ingest=_flag(item.redundant_ingest),
        attributes=_map(item.attributes),
        extra=extra,
    )


def _described(item: DescribedItem, extra: str | None, left: Left, share: SharedTexts) -> DescribedParticipant:
    details = ParticipantDetails(
        attributes=_map(item.attributes),
        isp_name=share(item.isp_name),
        os_name=share(item.os_name),
        os_version=share(item.os_version),
        browser_name=share(item.browser_name),
        browser_version=share(item.browser_version),
        sdk_version=share(item.sdk_version),
        protocol=share(item.protocol),
        recording_s3_bucket=share(item.recording_s3_bucket_name),
        recording_s3_prefix=item.recording_s3_prefix or None,
        extra=extra,
    )
    listed = msgspec.structs.replace(_participant(item, None, left, share), attributes=None)
    return DescribedParticipant(listed, details)


def _time_us(text: Text) -> int | None:
    return read_us(text) if text else None


def _flag(flag: Flag) -> bool | None:
    return None if flag is UNSET else flag


def _map(pairs: TextMap) -> dict[str, str] | None:
    return None if pairs is UNSET else pairs


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """A value in short: the text itself, a number's digits."""
    if is_object(value):
        return "{…}"
    return "[…]" if type(value) is list else str(value)


STAGES = Kind(StageItem, "stages", "ListStages gave a stage", _stage)
SESSIONS = Kind(
    SessionItem, "stageSessions", "ListStageSessions gave a session", _session, times=("start_time", "end_time")
)
PARTICIPANTS = Kind(
    ParticipantItem, "participants", "ListParticipants gave a participant", _participant, times=("first_join_time",)
)
DESCRIBED = Kind(
    DescribedItem, "participant", "GetParticipant gave a participant", _described, times=("first_join_time",)
)
