"""AWS sessions with keys of a test's own."""

from __future__ import annotations

from aiobotocore.session import AioSession


def aws_session(access_key: str, secret_key: str, region: str = "us-east-1") -> AioSession:
    session = AioSession()
    session.set_credentials(access_key, secret_key)
    session.set_config_variable("region", region)
    return session
