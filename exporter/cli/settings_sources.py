"""Options, environment and file as one `Settings`, in that order, and errors that say which of them is wrong."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from exporter.cli.options import put
from exporter.cli.setting_options import flag_of
from exporter.errors import UsageError
from exporter.settings import AccountSettings, Settings
from exporter.text import reason_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: The way to a value: a section and its key, or a key alone.
Key = tuple[str, ...]

#: What every variable begins with; `CONFIG`, `LOG_LEVEL` and `TEST_CLOCK` are no keys of the file.
PREFIX = "IVS_EXPORT_"
_OTHER_VARIABLES = ("IVS_EXPORT_CONFIG", "IVS_EXPORT_LOG_LEVEL", "IVS_EXPORT_TEST_CLOCK")
# What Kubernetes sets in every container beside a Service whose name begins with ours.
# Source: Kubernetes, "Services: Discovering services, Environment variables".
_OF_KUBERNETES = re.compile(
    r"IVS_EXPORT_(?:.*SERVICE_HOST|.*SERVICE_PORT(?:_.*)?|(?:.*_)?PORT(?:_[0-9]+_.*)?)", re.DOTALL
)
_ACCOUNTS = "accounts"
_LAKE: Key = ("lake",)
#: What a variable alone may set.
_PRIVACY_KEY: Key = ("privacy", "key")
#: What file and variables may set, and no option: other programs see what was typed.
_PROPERTIES: Key = ("catalog", "properties")
_WEBHOOK: Key = ("notify", "webhook")
_WITHOUT_OPTION = (_PRIVACY_KEY, _PROPERTIES, _WEBHOOK)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One source of values, and its name for a key."""

    values: Mapping[str, Any]
    name_of: Callable[[Key], str]


def load(options: Mapping[str, Any], config: Path | None = None) -> Settings:
    """The settings of ``options`` (those that were typed, nested by section), of the environment and of the file.

    ``config`` is the file of ``--config``; without it ``IVS_EXPORT_CONFIG`` may name one. Raises :class:`UsageError`.
    """
    _check_variables()
    named = str(config) if config else os.environ.get("IVS_EXPORT_CONFIG")
    file = Path(os.path.expanduser(named)) if named else None  # noqa: PTH111 - pathlib's own raises where nobody has it
    layers = [
        _Layer(options, flag_of),
        _Layer(_environment(), variable_of),
        _Layer(_read(file) if file else {}, lambda key: f"{file}: {'.'.join(key)}"),
    ]
    values = _merged(layers)
    _check_lake_is_named(values)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_describe(error, layers)) from None


def keys() -> dict[Key, Any]:
    """Every key that file, options and variables may set, with its default.

    Those of ``[[accounts]]`` have no option and no variable, the key that user ids are hashed with has only a variable,
    and a catalog's properties and the webhook have no option.
    """
    found: dict[Key, Any] = {}
    for name, default in Settings():
        if name == _ACCOUNTS:
            continue
        if isinstance(default, BaseModel):
            found |= {(name, key): value for key, value in default if (name, key) not in _WITHOUT_OPTION}
        else:
            found[(name,)] = default
    return found


def variable_of(key: Key) -> str:
    """The variable that sets a key."""
    return PREFIX + "__".join(key).upper()


def _environment() -> dict[str, Any]:
    """The values of the environment, nested as in the file. An empty variable is as one that is not set."""
    values: dict[str, Any] = {}
    for key in (*keys(), *_WITHOUT_OPTION):
        if value := os.environ.get(variable_of(key)):
            put(values, key, value)
    return values


def _check_no_key_in(file: Path, values: Mapping[str, Any]) -> None:
    """Refuse a file that holds the key of user ids: files are copied, committed and shown."""
    section, name = _PRIVACY_KEY
    of_section = values.get(section)
    if isinstance(of_section, dict) and name in of_section:
        raise UsageError(
            f"{file}: {section}.{name} is refused: a key that stands in a file is no secret;"
            f" set {variable_of(_PRIVACY_KEY)} instead"
        )


def _check_variables() -> None:
    """Refuse a variable that looks like ours and is none, one in small letters, too: not all of them would be read."""
    known = {*_OTHER_VARIABLES, *map(variable_of, (*keys(), *_WITHOUT_OPTION))}
    for name in sorted(os.environ):
        is_ours = name.upper().startswith(PREFIX) and not _OF_KUBERNETES.fullmatch(name)
        if is_ours and name not in known:
            raise UsageError(f"unknown variable {shown(name)[1:-1]}{_meant(name.upper(), known)}")


def _check_lake_is_named(values: Mapping[str, Any]) -> None:
    """Refuse an empty ``IVS_EXPORT_LAKE`` where nothing else names a lake.

    Other empty variables are as those that are not set. This one is what is left of a template whose value is missing,
    and the lake would be a folder inside the container.
    """
    variable = variable_of(_LAKE)
    if os.environ.get(variable) == "" and _LAKE[0] not in values:
        raise UsageError(
            f"{variable} is empty, and nothing else says where the lake is: set it to a directory or s3://bucket/prefix,"
            " or unset it for ./lake"
        )


def _check_keys(file: Path, values: Mapping[str, Any]) -> None:
    known = {".".join(key) for key in (*keys(), _PROPERTIES, _WEBHOOK)}
    sections = {key[0] for key in keys() if len(key) > 1}
    for name, value in values.items():
        if name == _ACCOUNTS:
            _check_keys_of_accounts(file, value)
            continue
        if name in sections and not isinstance(value, dict):
            raise UsageError(f"{file}: {name} is a section, written [{name}]")
        names = [f"{name}.{key}" for key in value] if name in sections else [name]
        for full in names:
            if full not in known:
                raise UsageError(f"{file}: {shown(full)[1:-1]} is no key{_meant(full, {*known, _ACCOUNTS})}")


def _check_keys_of_accounts(file: Path, tables: object) -> None:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{file}: each of the accounts is a table of its own, written [[{_ACCOUNTS}]]")
    for index, table in enumerate(tables):
        for key in table:
            if key not in AccountSettings.model_fields:
                name = f"{_name_of_account(index)}.{shown(key)[1:-1]}"
                raise UsageError(f"{file}: {name} is no key{_meant(key, AccountSettings.model_fields)}")


def _name_of_account(index: int) -> str:
    return f"[[{_ACCOUNTS}]] number {index + 1}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8, at byte {error.start}") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration file {shown(str(file))} can't be read: {reason_of(error)}") from None
    _check_no_key_in(file, values)
    _check_keys(file, values)
    return values


def _merged(layers: list[_Layer]) -> dict[str, Any]:
    """The first layer that has a key gives its value."""
    values: dict[str, Any] = {}
    for layer in reversed(layers):
        for name, value in layer.values.items():
            values[name] = {**values.get(name, {}), **value} if isinstance(value, dict) else value
    return values


def _describe(error: ValidationError, layers: list[_Layer]) -> str:
    """The first thing that is wrong: where it stands, under which name, its value, and why."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["loc"][0] == _ACCOUNTS:
        return _describe_account(first["loc"], reason, layers[-1])
    key = tuple(str(part) for part in first["loc"])[:2]
    key = key if key in keys() or key in _WITHOUT_OPTION else key[:1]
    for layer in layers:
        value: Any = layer.values
        for name in key:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            name = layer.name_of(key)
            return (
                f"{name} is refused: {reason}"
                if key in _WITHOUT_OPTION
                else f"{name}: {shown(value)} is refused: {reason}"
            )
    return f"{'.'.join(key)}: {reason}"


def _describe_account(loc: tuple[int | str, ...], reason: str, file: _Layer) -> str:
    """The same of ``[[accounts]]``, which stand in the file alone; an external id is not shown."""
    match loc:
        case (_, int(index), str(key), *_):
            name = file.name_of((_name_of_account(index), key))
            value = file.values[_ACCOUNTS][index].get(key)
            is_shown = value is not None and key != "external_id"
            return f"{name}: {shown(value)} is refused: {reason}" if is_shown else f"{name} is refused: {reason}"
        case _:
            return f"{file.name_of((_ACCOUNTS,))} are refused: {reason}"
