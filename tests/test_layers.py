"""The shape of the code: packages in one line, and each imports only what stands before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import exporter

ROOT = Path(exporter.__file__).parent
#: All that lies in ``exporter/``, from what depends on nothing to what depends on anything.
LAYERS = (
    "summary",
    "errors",
    "json_errors",
    "views",
    "model",
    "text",
    "timestamps",
    "compute",
    "machine",
    "setting_types",
    "watch_settings",
    "settings",
    "telemetry",
    "aws",
    "lake",
    "ledger",
    "normalize",
    "commit_log",
    "catalog",
    "ivs",
    "watching",
    "health",
    "query",
    "report",
    "discovery",
    "pipeline",
    "doctor",
    "cluster",
    "library",
    "emulator",
    "pytest_plugin",
    "cli",
)
PLANNED: set[str] = set()
#: Modules beside the packages; any other module has a room in one of them.
ROOT_MODULES = {
    *(
        "summary",
        "errors",
        "json_errors",
        "model",
        "text",
        "timestamps",
        "compute",
        "setting_types",
        "watch_settings",
        "settings",
    ),
    *("settings", "ledger", "pytest_plugin", "__init__", "__main__"),
}
#: The emulator knows nothing of what it is there to test.
ONLY = {"emulator": {"model"}, "pytest_plugin": {"emulator"}}
#: The steps of the way from the API to the lake: each knows its types and no other step.
STEPS = (
    "discovery.listings",
    "discovery.selection",
    "pipeline.fetch",
    "normalize.events",
    "lake.staging",
    "commit_log.journal",
)
#: What a module may not import although it stands in the same package, or before its own.
FORBIDDEN = {
    **{step: {other for other in STEPS if other != step} for step in STEPS},
    "lake.identity": {"lake.stores"},
    "cli.commands": {"pipeline", "aws", "lake"},
}


def imports_of(path: Path) -> set[str]:
    """The names below ``exporter`` that a file imports from, for types, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "exporter":
            names = [f"exporter.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("exporter.")}
    return found - {"__version__"}


def modules_imported(path: Path) -> set[str]:
    """The modules that a file imports, and the names in them, all below ``exporter``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("exporter."):
            module = node.module.removeprefix("exporter.")
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or not path.name.startswith("__"))


def test_everything_has_its_place_in_the_line() -> None:
    """No package and no module beside the line; what is planned may be there or not."""
    assert {path.stem for path in ROOT.glob("*.py")} == ROOT_MODULES
    there = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} | ROOT_MODULES
    assert there - {"__init__", "__main__"} - PLANNED == set(LAYERS) - PLANNED


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_what_stands_after_it(path: Path) -> None:
    """A module imports from its own package and from those before it in the line."""
    own = layer_of(path)
    allowed = ONLY.get(own, set(LAYERS[: LAYERS.index(own)])) | {own}
    assert imports_of(path) <= allowed


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_stands_apart_stays_apart(name: str) -> None:
    """No step imports another, a lake's identity knows no kind of store, and commands are cheap to import."""
    place = ROOT.joinpath(*name.split("."))
    paths = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for path in paths:
        assert not {
            module
            for module in modules_imported(path)
            if any(module == other or module.startswith(f"{other}.") for other in FORBIDDEN[name])
        }, path


TESTS = Path(__file__).parent
SUITES = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"support", "data", "__pycache__"}


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_no_suite_imports_from_another(suite: str) -> None:
    """What suites share lies in ``tests/support``, which imports from no suite."""
    for path in [*(TESTS / suite).rglob("*.py"), *(TESTS / "support").rglob("*.py")]:
        text = path.read_text()
        for other in SUITES - ({suite} if path.is_relative_to(TESTS / suite) else set()):
            assert f"from tests.{other}" not in text, path
