"""What AWS's own libraries raise, as errors of the exporter's: fenced where they are called, whatever their class.

Providers of credentials run programs, read files and ask services, and raise whatever comes of that: JSONDecodeError,
KeyError, FileNotFoundError. A list of their classes would never be whole. Source: botocore's `credentials.py`,
`utils.py` and `configloader.py`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from exporter.aws_endpoints import check_endpoint_settings
from exporter.errors import CredentialsLost, ExportError, UsageError
from exporter.masking import foreign_words

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Under the names that their variables have.
_ASKED_BY_PROVIDERS = ("STS", "SSO", "SSO_OIDC")


@contextmanager
def providing_credentials() -> Iterator[None]:
    """Let whatever a provider of credentials raises in this block be a :class:`CredentialsLost`, with its own words.

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
    return CredentialsLost(f"no AWS credentials can be used: {words_of(error)}")


def words_of(error: BaseException) -> str:
    """What an error says, in one line without secrets; with its class where its text alone says little."""
    text = foreign_words(error)
    if isinstance(error, OSError) and error.strerror:
        text = foreign_words(error.strerror)
        return text if error.filename is None else f"{foreign_words(error.filename)}: {text}"
    if isinstance(error, (BotoCoreError, ClientError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _named(error: Exception) -> str:
    """An error's words, after the names of AWS's variables whose values it quotes."""
    words = words_of(error)
    quoted = [name for name, value in os.environ.items() if name.startswith("AWS_") and value and repr(value) in words]
    return f"{', '.join(sorted(quoted))}: {words}" if quoted else words
