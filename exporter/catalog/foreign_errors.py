"""What a catalog's libraries raise, as errors of the exporter's: fenced where they are called, whatever their class.

PyIceberg passes on what HTTP, SQL, boto3 and pydantic raise, each of its own family, so a list of classes would never
be whole. A catalog's properties may be secret, so no text that is shown holds one of their values.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporter.catalog.errors import CatalogError
from exporter.catalog.remedies import meaning_of
from exporter.errors import ExportError
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECRET_LENGTH_MIN = 4
_MASK = "***"
#: What is no secret, and says where a catalog is.
_SHOWN = frozenset({"warehouse", "type", "init_catalog_tables"})


@contextmanager
def asking(what: str, properties: Mapping[str, str]) -> Iterator[None]:
    """Let whatever is raised in this block be a :class:`CatalogError`, which names ``what`` was done.

    Errors of the exporter's own, such as of the lake, stay what they are.
    """
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        said, remedy = meaning_of(error)
        raise CatalogError(
            f"the catalog failed to {what}: {type(error).__name__}{_shown(said, properties)}; {remedy}"
        ) from error


def described(error: Exception, properties: Mapping[str, str]) -> str:
    """An error's class and text, in one line, without the values of properties."""
    return type(error).__name__ + _shown(meaning_of(error)[0], properties)


def _shown(text: str, properties: Mapping[str, str]) -> str:
    for secret in sorted(_secrets_in(properties), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    shown = one_line(re.sub(r"(?<=://)[^\s/@]+@", f"{_MASK}@", text))
    return f": {shown}" if shown else ""


def _secrets_in(properties: Mapping[str, str]) -> Iterator[str]:
    """What may not be shown: values, but of a URL only its password and what stands after a question mark."""
    for name, value in properties.items():
        if name in _SHOWN:
            continue
        yield from (text for text in _hidden_in(value) if text and len(text) >= _SECRET_LENGTH_MIN)


def _hidden_in(value: str) -> tuple[str | None, ...]:
    try:
        parts = urlsplit(value)
    except ValueError:
        return (value,)
    is_url = bool(parts.scheme and (parts.netloc or parts.path))
    return (parts.password, parts.query) if is_url else (value,)
