"""What a lake is: the file ``_log/lake.json``, made by the first run; and whether its store keeps what a lake rests on.

The file also says of which kind the lake is: who fills it, and what it may hold of users. A kind never changes.

Two runs that start at once are kept apart by one thing alone: a store that makes a record for one writer only. So
every run asks for that. A new lake is also asked for all else that later runs need, before anything is spent on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from exporter.errors import LakeError, LakeRefused, LakeTooNew, UsageError
from exporter.json_errors import UNREADABLE
from exporter.text import cut, plain, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lake.store import Store

    #: What fills a lake: real exports, or the made-up data of ``ivs-export demo``.
    Maker = Literal["run", "demo"]

KEY = "_log/lake.json"
#: What ``ivs-export demo`` leaves in the lake's root; before there was ``lake.json``, nothing else marked one.
DEMO_MARKER = "_made_by_ivs-export_demo"
FORMAT = "ivs-export lake"
FORMAT_MAJOR, FORMAT_MINOR = 2, 0
#: Of a lake that keeps all: older programs may go on with it.
_OLD_MAJOR, _OLD_MINOR = 1, 1
#: The privacy of a lake that keeps all, as those from before there was any do.
KEEPS_ALL = "user_id=keep attributes=keep extra=keep"
_KEY_OF_HASHES = " key="
#: How the keys begin of what is written to try a place out, and is removed at once.
TRIAL = "_log/trial-"
TRIAL_BODY = b"{}"
_ID_PARTS = 4
#: What can be done where the lake's file is gone or garbled.
REMEDY = "restore it from a backup, or let `ivs-export repair` make another"


class LakeIdentity(msgspec.Struct, frozen=True):
    """The lake's file. A reader refuses a newer major version, and passes over fields that it does not know.

    ``id`` is drawn once, and no other lake's. ``made_by`` and ``privacy`` are the lake's kind. Programs that read major
    version 1 alone know no privacy and would write all of users, so a lake that keeps less has version 2. No program
    writes the file twice, or drops a field of it.
    """

    id: str
    made_by: str
    format: str = FORMAT
    major: int = _OLD_MAJOR
    minor: int = _OLD_MINOR
    privacy: str = KEEPS_ALL

    @property
    def kind(self) -> LakeKind:
        """Of which kind the lake is."""
        return LakeKind(self.made_by, self.privacy)


@dataclass(frozen=True, slots=True)
class LakeKind:
    """Of which kind a lake is.

    ``made_by`` is ``run`` or ``demo``: the two never share a lake. ``privacy`` is a text in which the mode can be read,
    and that is another one for another key.
    """

    made_by: str = "run"
    privacy: str = KEEPS_ALL


async def open_lake(store: Store, address: str, kind: LakeKind, run_id: str, draw: Callable[[], float]) -> LakeIdentity:
    """Read the lake's identity, or make it where there is none; its store is one that a lake can rest on.

    ``address`` is named in errors. ``run_id`` is no other run's. ``draw`` gives numbers from [0, 1).

    Raises :class:`UsageError` for a lake of another kind, :class:`LakeRefused` for a store that lets a record be made
    twice, and what the store raises: for a new lake, where any of the later runs' needs is refused.
    """
    body = await store.read(KEY)
    if body is None:
        _check_maker(address, await _maker_before(store, kind), kind)
        await _try_out(store, f"{TRIAL}{run_id}.json")
        body = await _make(store, _new_identity(kind, draw))
    identity = decode_identity(body)
    _check_kind(address, identity.kind, kind)
    # The body as it stands, not as this program would write it: a store that is to be refused must not lose a field.
    if not await store.refuses(KEY, body):
        raise LakeRefused(
            f"{address}: this store ignores If-None-Match: it lets a record be made twice, so two runs at once would "
            "double the lake. Nothing was exported; use a store that keeps conditional puts, such as Amazon S3"
        )
    return identity


async def look_at_lake(store: Store, address: str, kind: LakeKind) -> LakeIdentity | None:
    """Read the lake's identity, None where there is none yet. Nothing is written.

    Raises as `open_lake`; also for a lake from before there was such a file, which keeps all of users.
    """
    body = await store.read(KEY)
    identity = None if body is None else decode_identity(body)
    if identity is not None:
        _check_kind(address, identity.kind, kind)
        return identity
    _check_maker(address, await _maker_before(store, kind), kind)
    if kind.privacy != KEEPS_ALL and any(not key.startswith(TRIAL) for key in await store.keys("_log/")):
        raise UsageError(
            f"lake: {address} has a log and no {KEY}, as lakes from before there was [privacy], which keep all, and"
            f" this run asks for {_mode(kind.privacy)}: name another lake; or, where the file was lost, {REMEDY} with"
            " these settings"
        )
    return None


async def check_is_lake(store: Store, address: str) -> None:
    """Raise :class:`LakeRefused` where no run has made a lake; one that has found nothing yet is one.

    Raises as `decode_identity`, too.
    """
    body = await store.read(KEY)
    if body is None:
        raise LakeRefused(f"{address} holds no export: mend --lake, or make one with `ivs-export run`")
    decode_identity(body)


def decode_identity(body: bytes) -> LakeIdentity:
    """Read the identity in a lake's file. Raises :class:`LakeTooNew`, and :class:`LakeError` where it is damaged."""
    try:
        identity = msgspec.json.decode(body, type=LakeIdentity)
    except UNREADABLE as error:
        raise LakeError(f"{KEY} is damaged ({error}): {REMEDY}") from error
    if identity.format != FORMAT:
        raise LakeError(f"{KEY} is no lake's file, but {quoted(identity.format)}: {REMEDY}, or set another `lake`")
    if identity.major > FORMAT_MAJOR:
        raise LakeTooNew(
            f"{KEY} is of version {identity.major}, and this ivs-export reads up to {FORMAT_MAJOR}: use a newer one"
        )
    return identity


async def _make(store: Store, identity: LakeIdentity) -> bytes:
    """Make the lake's file. Where two runs do so at once, both use the one that was made first."""
    own = msgspec.json.encode(identity)
    if await store.create(KEY, own):
        return own
    body = await store.read(KEY)
    if body is None:
        raise LakeRefused(f"{KEY} can't be made, though it is not there: something else removes files from the lake")
    return body


def _new_identity(kind: LakeKind, draw: Callable[[], float]) -> LakeIdentity:
    lake_id = "".join(f"{int(draw() * (1 << 32)):08x}" for _ in range(_ID_PARTS))
    is_old = kind.privacy == KEEPS_ALL
    major, minor = (_OLD_MAJOR, _OLD_MINOR) if is_old else (FORMAT_MAJOR, FORMAT_MINOR)
    return LakeIdentity(lake_id, kind.made_by, major=major, minor=minor, privacy=kind.privacy)


async def _try_out(store: Store, key: str) -> None:
    """Do once what every later run does: a permission that is missing shows now, and not in the second night.

    A delete comes before there is anything to delete, so that nothing stays where it is not allowed.
    """
    await store.delete(key)
    if not await store.create(key, TRIAL_BODY):
        raise LakeRefused(f"{key} can't be made, though it is not there: no lake can be kept in this place")
    keys, body = await store.keys(TRIAL), await store.read(key)
    await store.delete(key)
    if key not in keys:
        raise LakeRefused(f"{key} was made and is in no list: no lake can be kept in a place whose lists come late")
    if body != TRIAL_BODY:
        raise LakeRefused(f"{key} was made and is not read as it was written: no lake can be kept in this place")
    await store.leftovers(TRIAL.partition("/")[0])
    await store.discard(await store.stage(key, TRIAL_BODY))


async def _maker_before(store: Store, kind: LakeKind) -> str:
    """Who made a lake that has no file yet: a demo, where its marker lies there; else the command that asks."""
    return "demo" if await store.read(DEMO_MARKER) is not None else kind.made_by


def _check_kind(address: str, found: LakeKind, asked: LakeKind) -> None:
    """Refuse a lake of another kind than the one asked for."""
    _check_maker(address, found.made_by, asked)
    if found.privacy == asked.privacy:
        return
    if _mode(found.privacy) == _mode(asked.privacy):
        raise UsageError(
            f"lake: the user ids in {address} were hashed with another key: set IVS_EXPORT_PRIVACY__KEY to that one, or"
            " name another lake"
        )
    raise UsageError(
        f"lake: {address} was made with [privacy] {_mode(found.privacy)}, and this run asks for {_mode(asked.privacy)}:"
        " set what it was made with, or name another lake"
    )


def _check_maker(address: str, maker: str, asked: LakeKind) -> None:
    """Keep made-up data and real data apart."""
    if maker == asked.made_by:
        return
    if maker == "demo":
        raise UsageError(f"lake: {address} was made by `ivs-export demo` and holds made-up data: set another `lake`")
    raise UsageError(f"lake: {address} was not made by `ivs-export {asked.made_by}`: name another place with --lake")


def _mode(privacy: str) -> str:
    """A lake's privacy as an error shows it, without what stands for the key."""
    is_hashed = privacy.startswith("user_id=hash ") and _KEY_OF_HASHES in privacy
    return plain(cut(privacy.rpartition(_KEY_OF_HASHES)[0] if is_hashed else privacy))
