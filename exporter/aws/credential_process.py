"""What is wrong with a profile's `credential_process`, in a text that holds nothing of what it prints. Pure.

What it prints is made of secrets, and an error of botocore's may repeat any of it. Source: AWS SDKs and Tools Reference
Guide, "Process credential provider"; botocore's `ProcessProvider`.
"""

from __future__ import annotations

import os
import re
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from botocore.exceptions import CredentialRetrievalError

from exporter.json_errors import UNREADABLE
from exporter.text import one_line, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How botocore calls the provider, in its errors and in the credentials that it gave.
METHOD = "custom-process"
_READING = "_retrieve_credentials_using"
_SPLITTING = "compat_shell_split"
_PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_EXPIRATION = "its Expiration is no time with a zone, such as 2026-11-23T10:00:00Z"
_MISSING = re.compile(r"Missing required key in response: '(\w+)'")


def process_fault(error: BaseException) -> str:
    """What an error of the provider says of the program: its profile, and what has to be mended."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    holders = [frame.f_locals.get("self") for frame in frames]
    names = {frame.f_code.co_name for frame in frames}
    return f"credential_process of the profile {_profile_in(holders)}: {_fault(error, names)}"


def process_of(provided: object) -> str:
    """The program that gave some credentials, by its profile; "" where none did."""
    is_process = getattr(provided, "method", None) == METHOD
    return f"credential_process of the profile {_profile_in([provided])}" if is_process else ""


def _fault(error: BaseException, names: set[str]) -> str:
    """What is wrong, by the error's class and by how far the provider had come."""
    if isinstance(error, CredentialRetrievalError):
        return _refused(str(error.kwargs.get("error_msg", "")))
    if isinstance(error, OSError):
        path = "" if error.filename is None else f"{one_line(error.filename)}: "
        return f"it can't be started: {path}{one_line(reason_of(error))}"
    if _READING not in names:
        is_over = isinstance(error, RuntimeError) and "expired" in str(error)
        return "the keys that it gives have expired already" if is_over else _EXPIRATION
    return f"the command can't be read: {one_line(error)}" if _SPLITTING in names else _misprinted(error)


def _misprinted(error: BaseException) -> str:
    """What is wrong with the text that it prints."""
    if isinstance(error, UnicodeDecodeError):
        return "what it writes is not UTF-8"
    if isinstance(error, UNREADABLE):
        return "it prints no JSON, or more than one object of it: nothing else may stand on its standard output"
    return "it prints JSON that is no object"


def _refused(said: str) -> str:
    """What botocore's own refusal says. That of a program that failed holds what it wrote to standard error."""
    if said.startswith("Unsupported version"):
        return "it prints no Version, or another than the number 1"
    if missing := _MISSING.fullmatch(said):
        return f"it prints no {missing[1]}"
    reason = one_line(said)
    return f"it fails: {reason}" if reason else "it fails, without a word"


def _profile_in(holders: list[Any]) -> str:
    """The profile that is being read: that of the innermost provider, else the one that the environment names."""
    name = next(filter(None, map(os.environ.get, _PROFILE_VARIABLES)), "default")
    for holder in holders:
        for provider in (holder, *_enclosed_by(getattr(holder, "_refresh_using", None))):
            own = getattr(provider, "_profile_name", None)
            name = own if isinstance(own, str) else name
    return repr(one_line(name))


def _enclosed_by(refresh: object) -> Iterator[object]:
    """What a provider's function holds: credentials know their provider by nothing else."""
    for cell in getattr(refresh, "__closure__", None) or ():
        yield cell.cell_contents
