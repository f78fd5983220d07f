"""What people take part with: a browser or an app, on some system, at some provider.

Source of the members: API Reference, Participant. The shares are made up, and are such as a public application sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.emulator.world.draws import draw
from exporter.emulator.world.people import share_of

_KINDS = ((34, "windows"), (52, "mac"), (72, "iphone"), (92, "android"), (97, "tablet"), (100, "linux"))
_CHROME = ("142.0.7444.60", "141.0.7390.123", "138.0.7204.184")
_SAFARI = ("26.1", "18.6", "17.6")
_FIREFOX = ("145.0", "144.0.2", "140.5")
_EDGE = ("142.0.3595.53", "141.0.3537.99")
_VERSIONS = {"Chrome": _CHROME, "Safari": _SAFARI, "Firefox": _FIREFOX, "Edge": _EDGE}
# For each kind the system and its versions, and the browsers by their shares; "" is an app.
_SYSTEMS: dict[str, tuple[str, tuple[str, ...], tuple[tuple[int, str], ...]]] = {
    "windows": ("Windows", ("11", "10"), ((68, "Chrome"), (90, "Edge"), (100, "Firefox"))),
    "mac": ("Mac OS", ("26.1", "15.7", "14.8"), ((52, "Chrome"), (94, "Safari"), (100, "Firefox"))),
    "iphone": ("iOS", ("26.1", "18.7.2", "17.7"), ((60, ""), (100, "Safari"))),
    "android": ("Android", ("16", "15", "14", "12"), ((62, ""), (100, "Chrome"))),
    "tablet": ("iPadOS", ("26.1", "18.7"), ((30, ""), (100, "Safari"))),
    "linux": ("Linux", ("6.12", "6.8"), ((60, "Chrome"), (100, "Firefox"))),
}
_WEB_SDKS = ((50, "1.31.0"), (80, "1.29.1"), (94, "1.26.0"), (100, "1.19.0"))
_APP_SDKS = ((45, "1.37.0"), (75, "1.36.2"), (92, "1.32.0"), (100, "1.25.1"))
_PROVIDERS = {
    "US": ("Comcast Cable Communications, LLC", "ATT Services, Inc.", "Verizon Business", "T-Mobile USA, Inc."),
    "DE": ("Deutsche Telekom AG", "Vodafone GmbH", "1u1 Versatel Deutschland GmbH"),
    "IN": ("Reliance Jio Infocomm Limited", "Bharti Airtel Ltd."),
    "BR": ("Claro NXT Telecomunicacoes Ltda", "TELEFONICA BRASIL S.A"),
    "GB": ("British Telecommunications PLC", "Sky UK Limited", "Virgin Media Limited"),
    "FR": ("Orange S.A.", "Free SAS"),
    "JP": ("NTT Communications Corporation", "KDDI CORPORATION"),
    "ES": ("Telefonica de Espana", "Orange Espagne SA"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device. ``browser`` and its version are ``""`` for an app."""

    kind: str
    os_name: str
    os_version: str
    browser_name: str
    browser_version: str
    sdk_version: str


def device_of(seed: int) -> Device:
    """The device that a draw stands for."""
    kind = share_of(_KINDS, draw(seed, b"kind"))
    system, versions, browsers = _SYSTEMS[kind]
    browser = share_of(browsers, draw(seed, b"browser"))
    return Device(
        kind=kind,
        os_name=system,
        os_version=_one_of(versions, draw(seed, b"system")),
        browser_name=browser,
        browser_version=_one_of(_VERSIONS[browser], draw(seed, b"version")) if browser else "",
        sdk_version=share_of(_WEB_SDKS if browser else _APP_SDKS, draw(seed, b"sdk")),
    )


def provider_of(country: str, seed: int) -> str:
    """An Internet provider of a country."""
    return _one_of(_PROVIDERS[country], seed)


def _one_of(choices: tuple[str, ...], number: int) -> str:
    return choices[number % len(choices)]
