"""The end of a run: what all scopes have committed is published in the catalog. Whatever fails there undoes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.catalog.outcome import Publication
from exporter.errors import ExportError
from exporter.pipeline.stop import StopRequested

if TYPE_CHECKING:
    from exporter.aws.sessions import MakeSession
    from exporter.pipeline.run_context import RunContext


async def publish_after(context: RunContext, make_session: MakeSession | None) -> Publication:
    """Publish what the lake's logs have, after the closing records of all scopes; errors are in what is returned.

    A run that a signal stops has seconds to end, and leaves it to the next one. A run whose time is over publishes all
    the same: else one whose time is always over would never publish.
    """
    try:
        return await context.stop.cut_by_signal(_publish(context, make_session))
    except StopRequested:
        return Publication(is_deferred=True)


async def _publish(context: RunContext, make_session: MakeSession | None) -> Publication:
    try:
        return await context.surroundings.keep_catalog(context.settings, context.store, make_session, context.clock)
    except ExportError as error:
        failed = Publication()
        failed.fail("", error)
        return failed
