"""An environment without anything of the user's who runs the tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Let no file of AWS's and no service of the machine's be asked for credentials.
NO_CREDENTIALS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def is_users(name: str) -> bool:
    """Whether a variable is of ivs-export or of AWS, or names certificates as AWS's tools read them."""
    return name.upper().startswith(("IVS_EXPORT_", "AWS_")) or name == "REQUESTS_CA_BUNDLE"


def bare_environment(*more: Mapping[str, str]) -> dict[str, str]:
    """The way to programs and nothing else of the user's, with ``more``, the later ones first."""
    own = {"PATH": os.environ["PATH"], **NO_CREDENTIALS}
    for variables in more:
        own |= variables
    return own
