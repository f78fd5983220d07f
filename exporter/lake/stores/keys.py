"""What may be a key of a lake. Keys are the exporter's own, but records bring them back from the lake's files."""

from __future__ import annotations

from exporter.errors import LakeRefused
from exporter.text import quoted


def checked_key(key: str) -> str:
    """Return the key itself. Raises :class:`LakeRefused` where it could lead out of the lake, or mean two things."""
    if not all(map(_is_part, key.split("/"))):
        raise LakeRefused(f"{quoted(key)} is no key of a lake")
    return key


def checked_prefix(prefix: str) -> str:
    """Return the beginning of a key, which may be empty, or end within a part or after one. Raises as `checked_key`."""
    folder, slash, _ = prefix.rpartition("/")
    if slash:
        checked_key(folder)
    return prefix


def _is_part(part: str) -> bool:
    # Some stores, such as SeaweedFS, take a backslash for a slash.
    return part not in {"", ".", ".."} and part.isprintable() and "\\" not in part
