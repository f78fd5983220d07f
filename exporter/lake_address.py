"""A lake's address as it is typed: a path or ``s3://bucket/prefix``, and what looks like neither.

A path is nearly any text, so an address that was written for another world would quietly become a folder of that name,
and the data would go there. What surely is a mistake is refused, with what was probably meant. ``./`` before a name
makes any text a path.
"""

from __future__ import annotations

import os.path
import re

_S3 = "s3://"
#: What tells an address of another world, wherever it may stand without `//`. `s3` is among them: `s3:bucket`.
_SCHEMES = frozenset(
    {
        *(
            "s3",
            "s3a",
            "s3n",
            "arn",
            "gs",
            "gcs",
            "az",
            "abfs",
            "abfss",
            "adl",
            "wasb",
            "wasbs",
            "hdfs",
            "dbfs",
            "oss",
            "cos",
        ),
        *("file", "http", "https", "ftp", "sftp", "ssh", "scp", "nfs", "smb"),
    }
)
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>.*)", re.ASCII | re.IGNORECASE)
_S3_MISSPELT = re.compile(r"s3[an]?:?[/\\]{2,}|s3[an]?:[/\\]?", re.IGNORECASE)
_HOST_AND_PATH = re.compile(r"(?:[^/:@]+(?::[^/@]*)?@)?[^/:]*:(?:[/\\].*)?", re.ASCII)
_PLACEHOLDER = re.compile(r"\$[A-Za-z_{(]|%[A-Za-z_][A-Za-z0-9_]*%|%\([A-Za-z_]|\{\{|^<|^\$")
_QUOTES = "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e"
# Source: Amazon S3 User Guide, "Bucket naming rules"; buckets from before 2018 may have capitals and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_WANTED = "should be a directory or s3://bucket/prefix"


def checked_address(text: str) -> str:
    """The address itself, with ``~`` expanded. Raises ValueError, which says what is wrong and what may be meant."""
    if not text.strip() or not text.isprintable():
        raise ValueError("should be text, with no control characters in it")
    if text != text.strip():
        raise ValueError("should not begin or end with a blank")
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        raise ValueError(f"has quotes in it, which a shell would have taken away: {_WANTED}, without quotes")
    if match := _PLACEHOLDER.search(text):
        raise ValueError(f"holds {match[0]}…, which nothing has put a value in place of: {_WANTED}, written out")
    if text.startswith(_S3):
        _check_bucket(text.removeprefix(_S3))
        return text
    if text.startswith("~"):
        return _expanded(text)
    _check_path(text)
    return text


def _check_bucket(rest: str) -> None:
    bucket = rest.partition("/")[0]
    if not bucket or "@" in bucket or ":" in bucket:
        raise ValueError("should name a bucket alone between s3:// and the prefix")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("should name a bucket of letters, digits, hyphens and dots between s3:// and the prefix")


def _expanded(text: str) -> str:
    path = os.path.expanduser(text)  # noqa: PTH111 - pathlib's own would also change ./ and //
    if path.startswith("~"):
        raise ValueError(f"begins with ~, and nobody knows that home folder: {_WANTED}; ./~ is a folder of that name")
    return path


def _check_path(text: str) -> None:
    """Refuse what is no address of ours, and would become a folder of that name."""
    if match := _S3_MISSPELT.match(text):
        rest = text[match.end() :].lstrip("/\\").replace("\\", "/")
        raise ValueError(_WANTED + (f"; did you mean s3://{rest}?" if rest and "@" not in rest else ""))
    if "://" in text or text.startswith(":"):
        raise ValueError(f"{_WANTED}; a directory is written as its path alone")
    match = _SCHEME.fullmatch(text)
    if match and (match["scheme"].lower() in _SCHEMES or match["rest"][:1] in {"/", "\\"}):
        raise ValueError(f"{_WANTED}; write ./ before it if it is a folder of that name")
    if _HOST_AND_PATH.fullmatch(text):
        raise ValueError(f"{_WANTED}, and no other machine's; write ./ before it if it is a folder of that name")
    if text.startswith(("\\", ".\\", "..\\")):
        raise ValueError(f"{_WANTED}, with / and not \\ between folders")
    if ".amazonaws.com" in text.partition("/")[0].lower():
        raise ValueError(_WANTED)
    if text == "-":
        raise ValueError(f"{_WANTED}: a lake is many files, and can't be standard output")
