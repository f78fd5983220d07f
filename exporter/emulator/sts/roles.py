"""The temporary keys of an assumed role: they name the role's account, and expire.

A session token describes its keys, sealed with a secret of this emulator, so that no table of them is needed.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from exporter.emulator.cache import BoundedCache
from exporter.emulator.options import Account

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS_KEPT = 4_096
_SEAL_LENGTH = sha256().digest_size


class Roles:
    """Issues temporary keys and reads them again; ``wall_s`` is real time.

    ``refused`` are accounts whose role can't be assumed from now on; keys that were issued before live on.
    """

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self.refused: set[str] = set()
        self._wall_s = wall_s
        self._secret = secrets.token_bytes(32)
        self._issued = 0
        self._expired = 0
        self._accounts: BoundedCache[Account] = BoundedCache(_KEYS_KEPT)

    def issue(self, account_id: str, life_s: float) -> Account:
        """New keys of an account, which end after ``life_s`` seconds."""
        self._issued += 1
        return self._account(account_id, self._issued, self._wall_s() + life_s)

    def read(self, token: str) -> Account | None:
        """The keys that a session token was issued with; None where it is none of this emulator's."""
        account = self._accounts.get(token)
        if account is None and (account := self._unsealed(token)) is not None:
            self._accounts.put(token, account)
        return account

    def expire_all(self) -> None:
        """Let all keys that were issued so far answer ``ExpiredTokenException``."""
        self._expired = self._issued
        self._accounts.clear()

    def _account(self, account_id: str, number: int, expires_s: float) -> Account:
        text = f"{account_id}/{number}/{expires_s!r}".encode()
        return Account(
            access_key=f"ASIA{account_id}{number:06d}",
            secret=self._seal(b"secret" + text).hex(),
            account_id=account_id,
            session_token=urlsafe_b64encode(self._seal(text) + text).decode(),
            expires_s=0.0 if number <= self._expired else expires_s,
        )

    def _unsealed(self, token: str) -> Account | None:
        try:
            sealed = urlsafe_b64decode(token)
        except ValueError:
            return None
        seal, text = sealed[:_SEAL_LENGTH], sealed[_SEAL_LENGTH:]
        if not hmac.compare_digest(seal, self._seal(text)):
            return None
        account_id, number, expires_s = text.decode().split("/")
        return self._account(account_id, int(number), float(expires_s))

    def _seal(self, text: bytes) -> bytes:
        return hmac.digest(self._secret, text, "sha256")
