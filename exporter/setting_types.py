"""The types of what settings hold: each checks a value, from whichever source, and says what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from exporter.model import is_region, nearest_region
from exporter.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Section(BaseModel):
    """A section of the settings: it can't be changed, and takes no key that it does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _refuse_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic reports a ValueError alone
    return value


def _check_text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("should be text, with no control characters in it")
    return text


def split(value: object) -> object:
    """A text with commas as its parts: what one variable can say of a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def check_regions(regions: Iterable[str]) -> None:
    """Raise ValueError for a text that can't be the name of an AWS region.

    Where IVS Real-Time is served changes, so a region that is not known here is asked all the same.
    """
    for region in regions:
        if not is_region(region):
            close = nearest_region(region)
            meant = f"did you mean {close}?" if close else "a region is a name such as eu-west-1"
            raise ValueError(f"{shown(region)} is no AWS region: {meant}")


def _checked_regions(regions: tuple[str, ...]) -> tuple[str, ...]:
    check_regions(regions)
    return once(regions)


def once(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each text once, in their order."""
    return tuple(dict.fromkeys(texts))


Number = Annotated[float, BeforeValidator(_refuse_flag), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=1)]
CheckedText = Annotated[str, AfterValidator(_check_text)]
CheckedTexts = Annotated[tuple[CheckedText, ...], BeforeValidator(split)]
Regions = Annotated[CheckedTexts, AfterValidator(_checked_regions)]


def _flat(value: object) -> object:
    """Properties by their dotted names: of JSON text, and of a TOML file, where a dotted key is a table in a table."""
    try:
        return dict(_leaves(_as_names(value), ""))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _as_names(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError('should be a JSON object, such as {"uri": "…"}') from None
    if not isinstance(value, dict):
        raise ValueError("should be names with their values")  # noqa: TRY004 - pydantic reports a ValueError alone
    return value


def _leaves(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        match value:
            case dict():
                yield from _leaves(value, f"{prefix}{name}.")
            case bool():
                yield f"{prefix}{name}", str(value).lower()
            case str() | int() | float():
                yield f"{prefix}{name}", str(value)
            case _:
                raise ValueError(f"{shown(prefix + name)} should be text or a number")


#: Names with texts that may be secret, and so are shown nowhere.
Properties = Annotated[dict[str, SecretStr], BeforeValidator(_flat)]
