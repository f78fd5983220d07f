"""The session with the user's own credentials, made where one is needed: a lake in a directory does without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiobotocore.session import AioSession


def own_session() -> AioSession:
    """A new session, as :func:`exporter.aws.sessions.open_session` makes it."""
    from exporter.aws.sessions import open_session  # noqa: PLC0415 - brings botocore, which is slow to import

    return open_session()
