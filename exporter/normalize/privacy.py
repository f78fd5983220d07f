"""Privacy: user ids and attributes kept, hashed or dropped, before anything is written of them. Pure.

It holds for columns, for ``extra``, where a user id of a wrong type lands, and for rejects. What is hashed is the same
text for the same user in every table. Ids of participants stay: they are what rows are joined by, also where a customer
chose them. An ``event_id`` stays the hash of what AWS sent.

In ``extra`` and in rejects the members ``userId`` and ``attributes`` are looked for at any depth, and a token that is
no object is dropped, for it may hold either. A member with a name that nobody knows may hold them, too:
``extra = "drop"`` drops it.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from exporter.errors import UsageError
from exporter.normalize.private_json import PrivateMembers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.normalize.event_model import Token
    from exporter.normalize.listed_model import (
        ListedParticipant,
        ListedSession,
        ListedStage,
        ParticipantDetails,
    )
    from exporter.settings import PrivacySettings

    Listed = TypeVar("Listed", ListedStage, ListedSession)

_HASH_LENGTH = 32
# No user has this id: it is what the key's fingerprint is made of.
_FINGERPRINTED = b"\0ivs-export: fingerprint of a privacy key\0"


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is written of users.

    ``attributes`` may be the names of those that are kept. ``key`` is what user ids are hashed with, by HMAC-SHA256; it
    is in no text that this class makes. Raises ValueError where a key is needed and is not there.
    """

    user_id: Literal["keep", "hash", "drop"] = "keep"
    attributes: Literal["keep", "drop"] | frozenset[str] = "keep"
    extra: Literal["keep", "drop"] = "keep"
    key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.user_id == "hash" and not self.key:
            raise ValueError("user ids can't be hashed without a key")

    @property
    def keeps_all(self) -> bool:
        """Whether everything is written as AWS sent it."""
        return (self.user_id, self.attributes, self.extra) == ("keep", "keep", "keep")

    def fingerprint(self) -> str:
        """Return a text that is another one for any other mode or key, and from which no key can be read."""
        names = self.attributes if isinstance(self.attributes, str) else json.dumps(sorted(self.attributes))
        mode = f"user_id={self.user_id} attributes={names} extra={self.extra}"
        return f"{mode} key={self._digest(_FINGERPRINTED)}" if self.user_id == "hash" else mode

    def user_id_of(self, text: str | None) -> str | None:
        """Return what is written of a user id: itself, 32 hexadecimal digits, or None."""
        if not text or self.user_id == "drop":
            return None
        return text if self.user_id == "keep" else self._digest(text.encode("utf-8", "surrogatepass"))

    def attributes_of(self, pairs: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Return what is written of attributes: all, those of the names that are kept, or None."""
        if pairs is None or self.attributes == "drop":
            return None
        if self.attributes == "keep":
            return pairs
        return {name: value for name, value in pairs.items() if name in self.attributes}

    def extra_of(self, text: str | None) -> str | None:
        """Return what is written of ``extra``; None, too, where it is nested too deep to be looked through."""
        if text is None or self.extra == "drop":
            return None
        return text if self.keeps_all else self._members().in_extra(text)

    def reject_of(self, event: bytes) -> bytes:
        """Return what is written of a raw event: itself, or JSON without what is hidden.

        Where ``extra`` is dropped, only known members of their own type are left. An event that is nested too deep to
        be looked through becomes ``null``.
        """
        if self.keeps_all:
            return event
        return self._members().in_event(event, is_known_only=self.extra == "drop")

    def _members(self) -> PrivateMembers:
        names = {"keep": None, "drop": frozenset[str]()}
        return PrivateMembers(
            hide_user_id=None if self.user_id == "keep" else self.user_id_of,
            attributes=names[self.attributes] if isinstance(self.attributes, str) else self.attributes,
        )

    def _digest(self, message: bytes) -> str:
        return hmac.digest(self.key or b"", message, "sha256").hex()[:_HASH_LENGTH]


#: Everything is written as AWS sent it.
KEEP_ALL = Privacy()


def privacy_of(settings: PrivacySettings) -> Privacy:
    """Make a run's privacy of its settings. Raises :class:`UsageError` where there is no key to hash user ids with."""
    attributes = settings.attributes if isinstance(settings.attributes, str) else frozenset(settings.attributes)
    key = None if settings.key is None else settings.key.get_secret_value().encode("utf-8", "surrogateescape")
    if settings.user_id == "hash" and not key:
        raise UsageError(
            "privacy.user_id: user ids can't be hashed without a key: set IVS_EXPORT_PRIVACY__KEY to a long text that"
            " was drawn at random"
        )
    return Privacy(settings.user_id, attributes, settings.extra, key)


def private_token(privacy: Privacy, token: Token) -> Token:
    """Return an event's token as it is written."""
    if privacy.keeps_all:
        return token
    pairs = privacy.attributes_of(token.attributes if isinstance(token.attributes, dict) else None)
    return msgspec.structs.replace(
        token,
        user_id=privacy.user_id_of(token.user_id or None),
        attributes=None if pairs is None else dict(pairs),
    )


def private_extra(privacy: Privacy, listed: Listed) -> Listed:
    """Return a stage or a session as it is written; a stage's tags are its own, and stay."""
    if privacy.keeps_all or listed.extra is None:
        return listed
    return msgspec.structs.replace(listed, extra=privacy.extra_of(listed.extra))


def private_participant(privacy: Privacy, participant: ListedParticipant) -> ListedParticipant:
    """Return a participant as it is written."""
    if privacy.keeps_all:
        return participant
    return msgspec.structs.replace(
        participant,
        user_id=privacy.user_id_of(participant.user_id),
        attributes=privacy.attributes_of(participant.attributes),
        extra=privacy.extra_of(participant.extra),
    )


def private_details(privacy: Privacy, details: ParticipantDetails) -> ParticipantDetails:
    """Return a participant's details as they are written."""
    if privacy.keeps_all:
        return details
    return msgspec.structs.replace(
        details,
        attributes=privacy.attributes_of(details.attributes),
        extra=privacy.extra_of(details.extra),
    )
