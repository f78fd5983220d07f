"""Where a command finds its credentials, and how they end while it runs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.emulator import Account
from tests.support.servers.faulty_proxy import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

    from tests.support.servers.faulty_proxy import Loss

#: So long the first keys live, and so much later it is once their time is over: less than AWS lets clocks differ.
_LIFE_S, _LATER_S = 100.0, 200.0
_EXPIRED_ON_S3 = Answer(
    400, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)
#: What a provider gives when the first keys' time is over.
NEW = Account("NEWKEY", "new-secret", session_token="new-secret-token")


@dataclass(slots=True)
class Hourglass:
    """The time of the first keys, which stands until it is over: for IVS, for S3, or for both.

    ``began_s`` is the emulator's wall clock, in seconds since the epoch.
    """

    began_s: float = field(default_factory=time.time)
    is_over_for_ivs: bool = False
    is_over_for_s3: bool = False

    @property
    def old(self) -> Account:
        """The first keys."""
        expires_s = self.began_s + _LIFE_S
        return Account("OLDKEY", "old-secret", session_token="old-secret-token", expires_s=expires_s)

    def wall_s(self) -> float:
        """The emulator's wall clock."""
        return self.began_s + _LATER_S * self.is_over_for_ivs

    def rule(self, request: web.Request) -> Loss | None:
        """Refuses the first keys, as S3 does, once their time is over. HEAD gets no reason."""
        if not self.is_over_for_s3 or "Credential=OLDKEY/" not in request.headers.get("Authorization", ""):
            return None
        return Answer(400) if request.method == "HEAD" else _EXPIRED_ON_S3


@dataclass(slots=True)
class Provider:
    """A way to credentials that AWS's tools know: ``environment``, ``file``, or ``process``."""

    kind: str
    folder: Path

    def give(self, account: Account) -> dict[str, str]:
        """Return these keys from now on; returns what a command's environment needs."""
        if self.kind == "environment":
            return {
                "AWS_ACCESS_KEY_ID": account.access_key,
                "AWS_SECRET_ACCESS_KEY": account.secret,
                "AWS_SESSION_TOKEN": account.session_token or "",
            }
        if self.kind == "file":
            return self._give_by_file(account)
        return self._give_by_process(account)

    def fail(self) -> None:
        """Give nothing any more: the process ends with a complaint, the file is damaged."""
        _replace(self.folder / "keys.py", "raise SystemExit('the login is over')")
        _replace(self.folder / "credentials", "[default\naws_secret_access_key = half-a-secret")

    def give_too_late(self, account: Account) -> None:
        """Give keys by the process whose own time is over already."""
        self._give_by_process(account, "2020-01-01T00:00:00Z")

    def _give_by_file(self, account: Account) -> dict[str, str]:
        lines = (
            "[default]",
            f"aws_access_key_id = {account.access_key}",
            f"aws_secret_access_key = {account.secret}",
            f"aws_session_token = {account.session_token}",
        )
        _replace(self.folder / "credentials", "\n".join(lines) + "\n")
        return {"AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials")}

    def _give_by_process(self, account: Account, ends: str = "2099-01-01T00:00:00Z") -> dict[str, str]:
        answer = {
            "Version": 1,
            "AccessKeyId": account.access_key,
            "SecretAccessKey": account.secret,
            "SessionToken": account.session_token,
            "Expiration": ends,  # in years: keys may end sooner than was said
        }
        _replace(self.folder / "keys.py", f"print({json.dumps(answer)!r})")
        command = f"{sys.executable} -S -I {self.folder / 'keys.py'}"
        (self.folder / "config").write_text(f"[default]\ncredential_process = {command}\n")
        return {"AWS_CONFIG_FILE": str(self.folder / "config")}


def _replace(path: Path, text: str) -> None:
    """Write a file so that no reader sees half of it."""
    aside = path.with_suffix(".new")
    aside.write_text(text)
    aside.replace(path)
