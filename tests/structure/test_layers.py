"""The shape of the code: no step imports another, and what all stand on imports none of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import exporter

ROOT = Path(exporter.__file__).parent
STEPS = ("discover", "plan", "fetch", "normalize", "stage", "commit", "publish")
COMPOSERS = (
    "exporter.finding",
    "exporter.intake",
    "exporter.writer",
    "exporter.pipeline",
    "exporter.recovery",
    "exporter.exporting",
    "exporter.running",
)
#: Each package or module, and what of the exporter it must not import.
FORBIDDEN = {
    "exporter.domain": {"exporter"},
    "exporter.errors": {"exporter"},
    "exporter.times": {"exporter"},
    "exporter.stores": {"exporter.api", "exporter.cli", "exporter.emulator"},
    "exporter.lake_identity": {"exporter.api", "exporter.cli", "exporter.emulator", "exporter.stores", *COMPOSERS},
    "exporter.emulator": {"exporter.api", "exporter.cli", "exporter.stores", "exporter.running"},
    "exporter.api": {"exporter.stores", "exporter.store", "exporter.cli", "exporter.emulator"},
    **{f"exporter.{step}": {"exporter.cli", "exporter.emulator", "exporter.stores", *COMPOSERS} for step in STEPS},
    **{name: {"exporter.cli", "exporter.emulator"} for name in COMPOSERS},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """The exporter's modules that a file imports, for types, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("exporter.")}


MODULES = {module_name(path): imports_of(path) for path in sorted(ROOT.rglob("*.py"))}


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_imports_another(step: str) -> None:
    """Each step knows its types and no other step."""
    others = {f"exporter.{other}" for other in STEPS if other != step}
    assert not {name for name in MODULES[f"exporter.{step}"] if any(below(name, other) for other in others)}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_layer_reaches_up(package: str) -> None:
    """What others stand on imports none of them."""
    for module, imported in MODULES.items():
        if below(module, package):
            wrong = {name for name in imported if any(below(name, upper) for upper in FORBIDDEN[package])}
            assert not {name for name in wrong if not below(name, package)}, f"{module} reaches up to {wrong}"
