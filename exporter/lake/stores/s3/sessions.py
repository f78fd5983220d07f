"""S3's sessions: aioboto3's, made of the ones that all of AWS is reached with. It is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aioboto3

from exporter.aws.errors import providing_credentials

if TYPE_CHECKING:
    from aiobotocore.session import AioSession


def s3_session(session: AioSession) -> aioboto3.Session:
    """An aioboto3 session with the credentials of ``session``.

    Raises :class:`CredentialsLost` where AWS's own configuration can't be read.
    """
    with providing_credentials():
        return aioboto3.Session(botocore_session=session)
