"""The shape of types, functions and modules: a name stands for one thing, and arguments are few."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import exporter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(exporter.__file__).parent

CONSTRUCTOR_ARGUMENTS_MAX = 7
FUNCTION_ARGUMENTS_MAX = 8
MODULE_LINES_MAX = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """Every module below ``exporter/``: its path, its text and its tree."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        yield str(path.relative_to(ROOT)), text, ast.parse(text)


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def constructor_fields(node: ast.ClassDef) -> list[str]:
    """The arguments of a dataclass's own constructor. A msgspec Struct has none that count: its fields are a format."""
    return [
        field.target.id
        for field in node.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and "ClassVar" not in ast.unparse(field.annotation)
        and not (isinstance(field.value, ast.Call) and "init=False" in ast.unparse(field.value))
    ]


def arguments(function: Function) -> list[str]:
    """The names of a function's arguments, without ``self`` and ``cls``."""
    listed = function.args
    names = [argument.arg for argument in (*listed.posonlyargs, *listed.args, *listed.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def constructors(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each class that has a constructor of its own, and that one's arguments."""
    for node in classes(tree):
        if is_dataclass(node):
            yield node.name, constructor_fields(node)
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                yield node.name, arguments(inner)


def type_aliases(tree: ast.Module) -> Iterator[str]:
    """The type aliases of a module: CamelCase names of an expression that is no call (a call makes a TypeVar)."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
            yield ast.unparse(node.target)
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield from (name for name in names if name.lstrip("_")[:1].isupper() and not name.isupper())


def test_no_two_types_share_a_name() -> None:
    """A class or type alias has a name that no other module uses for one of its own."""
    defined: dict[str, list[str]] = defaultdict(list)
    for path, _, tree in modules():
        for name in (*(node.name for node in classes(tree)), *type_aliases(tree)):
            defined[name].append(path)
    assert not {name: paths for name, paths in defined.items() if len(paths) > 1}


def test_no_constructor_shows_private_state() -> None:
    """State that a caller never passes is made by the class itself."""
    assert not [
        name
        for _, _, tree in modules()
        for name, taken in constructors(tree)
        if any(argument.startswith("_") for argument in taken)
    ]


def test_no_constructor_takes_more_than_seven_arguments() -> None:
    """What belongs together is a value of its own."""
    assert not [
        name for _, _, tree in modules() for name, taken in constructors(tree) if len(taken) > CONSTRUCTOR_ARGUMENTS_MAX
    ]


def test_no_function_takes_more_than_eight_arguments() -> None:
    """The same for functions and methods."""
    assert not [
        f"{path}: {node.name}"
        for path, _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, Function) and len(arguments(node)) > FUNCTION_ARGUMENTS_MAX
    ]


def test_no_module_is_longer_than_300_lines() -> None:
    """A module that has one job fits."""
    assert not [path for path, text, _ in modules() if len(text.splitlines()) > MODULE_LINES_MAX]
