"""What a lake is: the file ``_log/lake.json``, made by the first run; and whether its store keeps what a lake rests on.

Two runs that start at once are kept apart by one thing alone: a store that makes a record for one writer only. So
every run asks for that. A new lake is also asked for all else that later runs need, before anything is spent on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from exporter.errors import LakeError, LakeRefused, LakeTooNew, UsageError
from exporter.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lake.store import Store

    #: What fills a lake: real exports, or the made-up data of ``ivs-export demo``.
    Maker = Literal["run", "demo"]

KEY = "_log/lake.json"
#: What ``ivs-export demo`` leaves in the lake's root; before there was ``lake.json``, nothing else marked one.
DEMO_MARKER = "_made_by_ivs-export_demo"
FORMAT = "ivs-export lake"
FORMAT_MAJOR, FORMAT_MINOR = 1, 0
_TRIAL, _TRIAL_BODY = "_log/trial-", b"{}"
_ID_PARTS = 4
#: What can be done where the lake's file is gone or garbled.
REMEDY = "restore it from a backup, or let `ivs-export repair` make another"


class LakeIdentity(msgspec.Struct, frozen=True):
    """The lake's file. A reader refuses a newer major version, and passes over fields that it does not know.

    ``id`` is drawn once, and no other lake's. ``made_by`` is ``run`` or ``demo``: the two never share a lake.
    """

    id: str
    made_by: str
    format: str = FORMAT
    major: int = FORMAT_MAJOR
    minor: int = FORMAT_MINOR


async def open_lake(store: Store, address: str, made_by: Maker, run_id: str, draw: Callable[[], float]) -> LakeIdentity:
    """Read the lake's identity, or make it where there is none; its store is one that a lake can rest on.

    ``address`` is named in errors. ``run_id`` is no other run's. ``draw`` gives numbers from [0, 1).

    Raises :class:`UsageError` for a lake that ``made_by`` has not made, :class:`LakeRefused` for a store that lets a
    record be made twice, and what the store raises: for a new lake, where any of the later runs' needs is refused.
    """
    body = await store.read(KEY)
    if body is None:
        _check_maker(address, await _maker_before(store, made_by), made_by)
        await _try_out(store, f"{_TRIAL}{run_id}.json")
        body = await _make(store, LakeIdentity(_new_id(draw), made_by))
    identity = decode_identity(body)
    _check_maker(address, identity.made_by, made_by)
    # The body as it stands, not as this program would write it: a store that is to be refused must not lose a field.
    if not await store.refuses(KEY, body):
        raise LakeRefused(
            f"{address}: this store ignores If-None-Match: it lets a record be made twice, so two runs at once would "
            "double the lake. Nothing was exported; use a store that keeps conditional puts, such as Amazon S3"
        )
    return identity


async def look_at_lake(store: Store, address: str, made_by: Maker) -> LakeIdentity | None:
    """Read the lake's identity, None where there is none yet. Nothing is written. Raises as `open_lake`."""
    body = await store.read(KEY)
    identity = None if body is None else decode_identity(body)
    _check_maker(address, identity.made_by if identity else await _maker_before(store, made_by), made_by)
    return identity


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
    except msgspec.MsgspecError as error:
        raise LakeError(f"{KEY} is damaged ({error}): {REMEDY}") from error
    if identity.format != FORMAT:
        raise LakeError(f"{KEY} is no lake's file, but {quoted(identity.format)}: {REMEDY}, or set another `lake`")
    if identity.major > FORMAT_MAJOR:
        raise LakeTooNew(f"{KEY} is of version {identity.major}, and this ivs-export reads up to {FORMAT_MAJOR}")
    return identity


async def _make(store: Store, identity: LakeIdentity) -> bytes:
    """Make the lake's file. Of two runs that do so at once, both take the one that stands."""
    own = msgspec.json.encode(identity)
    if await store.create(KEY, own):
        return own
    body = await store.read(KEY)
    if body is None:
        raise LakeRefused(f"{KEY} can't be made, though it is not there: something else removes files from the lake")
    return body


def _new_id(draw: Callable[[], float]) -> str:
    return "".join(f"{int(draw() * (1 << 32)):08x}" for _ in range(_ID_PARTS))


async def _try_out(store: Store, key: str) -> None:
    """Do once what every later run does: a permission that is missing shows now, and not in the second night.

    A delete comes before there is anything to delete, so that nothing stays where it is not allowed.
    """
    await store.delete(key)
    if not await store.create(key, _TRIAL_BODY):
        raise LakeRefused(f"{key} can't be made, though it is not there: no lake can be kept in this place")
    keys, body = await store.keys(_TRIAL), await store.read(key)
    await store.delete(key)
    if key not in keys:
        raise LakeRefused(f"{key} was made and is in no list: no lake can be kept in a place whose lists come late")
    if body != _TRIAL_BODY:
        raise LakeRefused(f"{key} was made and is not read as it was written: no lake can be kept in this place")
    await store.leftovers(_TRIAL.partition("/")[0])
    await store.discard(await store.stage(key, _TRIAL_BODY))


async def _maker_before(store: Store, made_by: Maker) -> str:
    """Who made a lake that has no file yet: a demo, where its marker lies there; else ``made_by``, which asks."""
    return "demo" if await store.read(DEMO_MARKER) is not None else made_by


def _check_maker(address: str, maker: str, made_by: Maker) -> None:
    """Keep made-up data and real data apart."""
    if maker == made_by:
        return
    if maker == "demo":
        raise UsageError(f"lake: {address} was made by `ivs-export demo` and holds made-up data: set another `lake`")
    raise UsageError(f"lake: {address} was not made by `ivs-export {made_by}`: name another place with --lake")
