"""Settings from a mapping that is shaped like the settings' file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from exporter.errors import UsageError
from exporter.settings import AccountSettings, Settings
from exporter.text import shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_UNKNOWN = "extra_forbidden"
#: What no message shows the value of.
_SECRETS = frozenset({"key", "external_id"})


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings that a mapping names, and the defaults of all others.

    It may hold what the file may, and ``privacy.key``: a mapping need not be written down anywhere. Raises
    :class:`UsageError` for the first thing that is wrong.
    """
    try:
        return Settings.model_validate(dict(_checked(values)))
    except ValidationError as error:
        raise UsageError(_described(error.errors(include_url=False)[0])) from None


def _checked(values: object) -> Mapping[str, Any]:
    """What the caller gave, where it is a mapping: nothing else is left to Python's own words."""
    if isinstance(values, Mapping):
        return values
    raise UsageError(f"settings: {shown(values)} is refused: should be Settings, or a mapping shaped like the file")


def _described(flaw: ErrorDetails) -> str:
    """What is wrong: under which name, its value, and why."""
    path = [part for part in flaw["loc"] if not _is_of_pydantic(part)]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    if flaw["type"] == _UNKNOWN:
        close = get_close_matches(str(path[-1]), _keys_beside(path), n=1)
        return f"settings: {shown(name)[1:-1]} is no key" + (f"; did you mean {close[0]}?" if close else "")
    reason = flaw["msg"].removeprefix("Value error, ").removeprefix("Input ")
    value = "" if _SECRETS.intersection(path) or isinstance(flaw["input"], dict) else f" {shown(flaw['input'])}"
    return f"settings: {name}:{value} is refused: {reason}"


def _is_of_pydantic(part: str | int) -> bool:
    """Whether a part of a place names one choice of several types, and nothing that the caller wrote."""
    return isinstance(part, str) and not part.isidentifier()


def _keys_beside(path: list[str | int]) -> list[str]:
    """The keys that there are where an unknown one stands."""
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        if isinstance(part, str):
            default = None if part == "accounts" else getattr(Settings(), part, None)
            model = type(default) if isinstance(default, BaseModel) else AccountSettings
    return list(model.model_fields)
