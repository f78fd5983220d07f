"""The templates for a deployment: the files of the folder ``config``, which the wheel has, too."""

from __future__ import annotations

from pathlib import Path

from exporter.errors import UsageError
from exporter.text import shown

#: The settings' file, with every key and its default.
SETTINGS = "ivs-export.toml"
_PACKAGE = Path(__file__).resolve().parent.parent
#: What installers make of those that are Python.
_COMPILED = ".pyc"
# In a wheel they lie in the package, in a working copy beside it.
_PLACES = (_PACKAGE / "config", _PACKAGE.parent / "config")


def names() -> list[str]:
    """The names of all templates, the settings' file first: paths with slashes between."""
    folder = _folder()
    found = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != _COMPILED
    )
    return sorted(found, key=lambda name: name != SETTINGS)


def text_of(name: str) -> str:
    """The text of a template. Raises :class:`UsageError` where there is none of that name."""
    there = names()
    if name not in there:
        meant = [each for each in there if each.rpartition("/")[2] == name]
        advice = f"did you mean {meant[0]}?" if meant else "`ivs-export config --list` shows which there are"
        raise UsageError(f"there is no template {shown(name)}; {advice}")
    return _folder().joinpath(name).read_text(encoding="utf-8")


def _folder() -> Path:
    return next(place for place in _PLACES if place.joinpath(SETTINGS).is_file())
