"""Of which kind a lake is, beside the one that a run with these settings makes and goes on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.lake_file import check_has_lake_file
from exporter.commit_log.named_files import check_has_log
from exporter.commit_log.reader import scopes_in
from exporter.doctor.check import Check
from exporter.lake.identity import LakeKind, look_at_lake
from exporter.normalize.privacy import privacy_of

if TYPE_CHECKING:
    from exporter.lake.store import Store
    from exporter.settings import Settings


async def check_kind(store: Store, settings: Settings) -> Check:
    """See that a run with these settings goes on with the lake; nothing is written.

    Raises as `look_at_lake` and `check_has_lake_file`, :class:`LogDamaged` where files are there and no log at all, and
    :class:`UsageError` where user ids are to be hashed without a key.
    """
    kind = LakeKind(privacy=privacy_of(settings.privacy).fingerprint())
    identity = await look_at_lake(store, settings.lake, kind)
    if identity is None:
        await check_has_lake_file(store)
    if not await scopes_in(store):
        await check_has_log(store)
    if identity is None:
        return Check("lake-kind", "ok", "no lake yet: the first run makes it")
    return Check("lake-kind", "ok", f"made by `ivs-export {identity.made_by}`, and these settings fit it")
