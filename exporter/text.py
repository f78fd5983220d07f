"""Text that can be shown: without secrets, and without what a terminal would obey."""

from __future__ import annotations

import json
import os
import re

_SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "IVS_EXPORT_PRIVACY__KEY",
    "IVS_EXPORT_NOTIFY__WEBHOOK",
)
# What is shorter is no secret but a word such as `test`, and would turn a whole log into stars. AWS's own secret keys
# have 40 characters, its session tokens hundreds (IAM User Guide, "IAM identifiers").
_SECRET_LENGTH_MIN = 16
#: Characters that are shown of a message from outside, and of a name or a value in one.
LINE_LENGTH_MAX, NAME_LENGTH_MAX = 500, 200
#: Characters that are shown of a value that somebody has set.
_VALUE_LENGTH_MAX = 80
_MASK = "***"

_PATTERNS = (
    # What stands before the @ of an address, with and without a scheme.
    (re.compile(r"//[^\s/@]+@"), f"//{_MASK}@"),
    (re.compile(r"(?<![\w/.:-])[^\s/@:'\"=(]+:[^\s/@'\"]*@(?=[\w\[])"), f"{_MASK}@"),
    # What is named as a secret: in JSON, XML, a line of configuration or a header.
    (
        re.compile(
            r"((?:secret|token|password|authorization|SecretAccessKey)\w*[\"'\\]*\s*[:=>]\s*(?:b?[\"'\\]+)?"
            r"(?:(?:Bearer|Basic)\s+)?)[^\s\"'<>,;\\]{12,}",
            re.IGNORECASE,
        ),
        rf"\1{_MASK}",
    ),
    # A JSON web token, and base64 as long as a secret key; a path begins with a slash, a name in hexadecimal digits has
    # no capital letters.
    (re.compile(r"eyJ[\w-]{8,}\.[\w.-]+"), _MASK),
    (
        re.compile(
            r"(?<![A-Za-z0-9+/=])(?!/)(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])"
            r"[A-Za-z0-9+/]{40,}={0,2}"
        ),
        _MASK,
    ),
)


def mask(text: str) -> str:
    """Take the environment's secrets out of a text, also as they stand in JSON.

    A value shorter than sixteen characters is none.
    """
    for name in _SECRET_VARIABLES:
        secret = os.environ.get(name, "")
        if len(secret) >= _SECRET_LENGTH_MIN:
            text = text.replace(secret, _MASK).replace(json.dumps(secret)[1:-1], _MASK)
    return text


def masked(text: str) -> str:
    """Take out of the text of another program or library what looks like a secret."""
    text = mask(text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def one_line(said: object, length_max: int = LINE_LENGTH_MAX) -> str:
    """Show what another program or library said, in one line: printable, without secrets, and cut where it is long."""
    line = masked(" ".join(str(said)[: 4 * LINE_LENGTH_MAX].split()))
    return cut("".join(letter if letter.isprintable() else "?" for letter in line), length_max)


def reason_of(error: Exception) -> str:
    """Say why something failed: in the system's words where the error has them, else in the error's own."""
    if not isinstance(error, OSError):
        return str(error)
    # Without a number of the system's, Python 3.14's own text of it is "[Errno None] None".
    return error.strerror or " ".join(map(str, error.args))


def quoted(text: str) -> str:
    """Show a name or a value from outside, in quotes: escaped where it can't be printed, and cut where it is long."""
    return repr(cut(text))


def cut(text: str, length_max: int = NAME_LENGTH_MAX) -> str:
    """Cut a text that has more characters than that, and end it with ``…`` then."""
    return text if len(text) <= length_max else text[:length_max] + "…"


def plain(text: str) -> str:
    """Show a text from outside as it is, but for what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def escaped(text: str) -> str:
    r"""Show a text from outside whole, in one line, with what a terminal would obey as escapes: ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def counted(count: int, thing: str) -> str:
    """Write a count with its noun, whose plural ends with an s: ``1 file``, ``1,204 files``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def undated(count: int, among: int) -> str:
    """Say of how many events the time can't be read."""
    have = "has" if count == 1 else "have"
    return f"{count:,} of {counted(among, 'event')} {have} no eventTime that can be read"


def shown(value: object) -> str:
    """A value as an error may show it: on one line, cut, and without what stands before an ``@`` in an address."""
    text = value if isinstance(value, str) else repr(value)
    scheme, separator, rest = text.partition("://")
    before, at, after = text.rpartition("@")
    if separator and "@" in rest:
        text = f"{scheme}://…@{after}"
    elif at and ":" in before and not text.startswith("arn:"):
        text = f"…@{after}"
    text = cut(text, _VALUE_LENGTH_MAX)
    return repr(text) if isinstance(value, str) else text
