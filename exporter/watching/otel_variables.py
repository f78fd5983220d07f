"""What OpenTelemetry's own variables ask for. Pure. Source: OpenTelemetry, "Environment Variable Specification".

Without a variable that names a collector or an exporter nothing is sent: a pod that merely has a service name for
others sends nothing to a port of its own that nobody listens on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACES, METRICS = "traces", "metrics"
_OTLP, _NONE = "otlp", "none"
_PROTOCOL = "http/protobuf"


@dataclass(frozen=True, slots=True)
class WantedSignals:
    """The signals that are sent, ``traces`` and ``metrics``; and what is asked for and can't be done."""

    names: frozenset[str]
    faults: tuple[str, ...] = ()


def wanted_signals(variables: Mapping[str, str]) -> WantedSignals:
    """Read the variables of a process."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return WantedSignals(frozenset())
    wanted, faults = set(), []
    for name in (TRACES, METRICS):
        exporter = variables.get(f"OTEL_{name.upper()}_EXPORTER", "").strip().lower()
        if exporter not in {"", _OTLP, _NONE}:
            faults.append(f"OTEL_{name.upper()}_EXPORTER asks for another exporter than {_OTLP}")
        elif exporter != _NONE and (exporter or _endpoint_of(name, variables)):
            fault = _fault_of_protocol(name, variables)
            if fault is None:
                wanted.add(name)
            else:
                faults.append(fault)
    return WantedSignals(frozenset(wanted), tuple(dict.fromkeys(faults)))


def _endpoint_of(name: str, variables: Mapping[str, str]) -> str | None:
    """Where a signal is sent, as far as variables say so."""
    own = variables.get(f"OTEL_EXPORTER_OTLP_{name.upper()}_ENDPOINT")
    return own or variables.get("OTEL_EXPORTER_OTLP_ENDPOINT")


def _fault_of_protocol(name: str, variables: Mapping[str, str]) -> str | None:
    for variable in (f"OTEL_EXPORTER_OTLP_{name.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := variables.get(variable, "").strip():
            if protocol == _PROTOCOL:
                return None
            return f"{variable} asks for another protocol than {_PROTOCOL}, the one that is spoken here"
    return None
