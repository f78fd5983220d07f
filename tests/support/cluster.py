"""Twelve scopes for a cluster: three accounts in four regions."""

from __future__ import annotations

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
PLACES = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
EXTERNAL_ID = "hush-hush-hush"
