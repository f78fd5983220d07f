"""What AWS's own libraries raise, as errors of the exporter's: fenced where they are called, whatever their class.

Providers of credentials run programs, read files and ask services, and raise whatever comes of that: JSONDecodeError,
KeyError, FileNotFoundError. A list of their classes would never be whole. Source: botocore's `credentials.py`,
`utils.py` and `configloader.py`.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from exporter.aws.credential_process import METHOD, process_fault
from exporter.aws.endpoints import check_endpoint_settings
from exporter.errors import CredentialsLost, ExportError, UsageError
from exporter.telemetry.logs import named
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Why there are none, and what to do about it.
NO_CREDENTIALS = (
    "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role"
    " gives them"
)
#: AWS's names for keys that have expired, and that new ones may replace. Source: AWS General Reference, "Common error
#: types"; Amazon S3 API Reference, "Error responses".
EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException"})
#: Errors whose own text says what is wrong; of others, the class says more.
EXPLAINED = (BotoCoreError, ClientError, RuntimeError)
# Under the names that their variables have.
_ASKED_BY_PROVIDERS = ("STS", "SSO", "SSO_OIDC")
# Values of these stand in many a text: a secret's is masked, a region or a profile is not what is wrong, and botocore's
# error for a damaged file names it.
_TOO_COMMON = re.compile("ACCESS_KEY|_TOKEN$|REGION$|PROFILE$|^AWS_CONFIG_FILE$|^AWS_SHARED_CREDENTIALS_FILE$")
_PROVIDERS = {
    "assume-role": "the profile's role_arn",
    "assume-role-with-web-identity": "web identity",
    "config-file": "the profile's keys",
    "container-role": "the container's credentials",
    METHOD: "credential_process",
    "env": "the environment's keys",
    "iam-role": "the instance's role",
    "shared-credentials-file": "the credentials file",
    "sso": "IAM Identity Center (sso)",
}


@contextmanager
def providing_credentials() -> Iterator[None]:
    """Let whatever a provider of credentials raises in this block be a :class:`CredentialsLost`, with its own text.

    Where the endpoint of a service that providers ask is wrong, that is said instead, by a :class:`UsageError`.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        for service in _ASKED_BY_PROVIDERS:
            check_endpoint_settings(service)
        raise lost(error) from error


@contextmanager
def reading_configuration(what: str) -> Iterator[None]:
    """Let what AWS's environment or profile says, and botocore refuses, be a :class:`UsageError`.

    ``what`` can't be done so. The variable is named where its value is what botocore complains of.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise UsageError(f"{what}: {_named(error)}") from error


def lost(error: Exception) -> CredentialsLost:
    """The :class:`CredentialsLost` that a provider's error stands for."""
    name = _provider_of(error)
    if is_of_process(error):
        return unusable(process_fault(error))
    provider = f"{_PROVIDERS.get(name, name)}: " if name and name not in str(error) else ""
    return unusable(f"{provider}{_named(error)}")


def unusable(reason: str) -> CredentialsLost:
    """The :class:`CredentialsLost` for credentials that are there, and that ``reason`` makes useless."""
    return CredentialsLost(f"no AWS credentials can be used: {reason}")


def is_of_process(error: BaseException) -> bool:
    """Whether the program of a profile's ``credential_process`` is what failed."""
    return _provider_of(error) == METHOD


def text_for_logs(error: BaseException) -> str:
    """An exception's name and text; of a program that prints secrets, what is wrong with it instead.

    botocore logs that keys could not be renewed by itself, with the exception, before anybody can translate it.
    """
    return message_of(error) if is_of_process(error) else named(error)


def message_of(error: BaseException) -> str:
    """What an error says, in one line without secrets; with its class where its text alone says little."""
    if is_of_process(error):
        return process_fault(error)
    text = one_line(error)
    if isinstance(error, OSError) and error.strerror:
        text = one_line(error.strerror)
        return text if error.filename is None else f"{one_line(error.filename)}: {text}"
    if isinstance(error, EOFError):
        return "something was to be typed, such as the code of an MFA device, and nobody is there to type it"
    if isinstance(error, EXPLAINED) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _named(error: Exception) -> str:
    """An error's text, after the names of AWS's variables whose values it repeats."""
    text = message_of(error)
    repeated = [
        name
        for name, value in os.environ.items()
        if name.startswith("AWS_")
        and not _TOO_COMMON.search(name)
        and value
        and re.search(rf"(?<![\w/.-]){re.escape(value)}(?![\w/-])", text)
    ]
    return f"{', '.join(sorted(repeated))}: {text}" if repeated else text


def _provider_of(error: BaseException) -> str:
    """Give botocore's name of the provider that was asked; "" where it is not known.

    ``JSONDecodeError: Expecting value`` says nothing of the program whose output it is about. Each provider carries its
    name, as do the credentials that one gave, and the innermost that the error passed is the one that failed.
    """
    name = ""
    for frame, _ in walk_tb(error.__traceback__):
        asked = frame.f_locals.get("self")
        method = getattr(asked, "METHOD", None) or getattr(asked, "method", None)
        name = method if isinstance(method, str) and method in _PROVIDERS else name
    return name
