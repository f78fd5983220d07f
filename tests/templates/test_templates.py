"""The templates for a deployment: each checked by its ecosystem's own tool, and against the program itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter import __version__
from exporter.cli.app import app, main
from exporter.cli.templates import SETTINGS, names, text_of
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
#: Made by ``scripts/setup engines``.
TOOLS = ROOT / ".venv-engines" / "bin"
needs_tools = pytest.mark.skipif(not TOOLS.exists(), reason="scripts/setup engines")
#: Texts, and how a mistake is made in each, that its tool must find.
KUBERNETES = ("kubernetes/cronjob.yaml", "kubernetes/indexed-job.yaml")


def check(*command: str | Path) -> tuple[int, str]:
    """What a tool says of a template, and its exit code."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT)
    return ended.returncode, ended.stdout + ended.stderr


def with_mistake(path: Path, folder: Path, before: str, after: str) -> Path:
    """A copy of a template with one word replaced."""
    text = path.read_text()
    assert before in text
    copy = folder / path.name
    copy.write_text(text.replace(before, after, 1))
    return copy


def test_config_prints_each_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The settings' file where none is named; the list names all files of the folder."""
    assert main(["config"]) == 0
    assert capsys.readouterr().out == (CONFIG / "ivs-export.toml").read_text()
    assert main(["config", "--list"]) == 0
    listed = capsys.readouterr().out.split()
    assert sorted(listed) == sorted(str(path.relative_to(CONFIG)) for path in CONFIG.rglob("*") if path.is_file())
    for name in listed:
        assert main(["config", name]) == 0
        assert capsys.readouterr().out == (CONFIG / name).read_text()
    assert main(["config", "../pyproject.toml"]) == 2
    assert "config --list" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd(tmp_path: Path) -> None:
    """Both units are what systemd takes; the program's place is another one here."""
    service = with_mistake(
        CONFIG / "systemd/ivs-export.service",
        tmp_path,
        "ExecStart=/opt/ivs-export/bin/ivs-export",
        "ExecStart=/bin/true",
    )
    timer = shutil.copy(CONFIG / "systemd/ivs-export.timer", tmp_path)
    assert check("systemd-analyze", "verify", service, timer) == (0, "")
    service.write_text(service.read_text().replace("Type=oneshot", "Type=onceshot"))
    assert "onceshot" in check("systemd-analyze", "verify", service, timer)[1]


@needs_tools
@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes(name: str, tmp_path: Path) -> None:
    """Each is what Kubernetes' own schema asks for."""
    tool = TOOLS / "kubernetes-validate"
    code, said = check(tool, "--strict", CONFIG / name)
    assert code == 0, said
    wrong = with_mistake(CONFIG / name, tmp_path, "restartPolicy: Never", "restartPolicys: Never")
    assert check(tool, "--strict", wrong)[0] != 0


@needs_tools
def test_cloudformation(tmp_path: Path) -> None:
    """The stack is one that CloudFormation takes."""
    tool, stack = TOOLS / "cfn-lint", CONFIG / "cloudformation/ivs-export.yaml"
    assert check(tool, stack) == (0, "")
    wrong = with_mistake(stack, tmp_path, "ReadonlyRootFilesystem", "ReadOnlyRootFileSystem")
    assert check(tool, wrong)[0] != 0


def test_the_roles_of_the_stack_are_those_of_the_policy() -> None:
    """What the exporter may do stands in two files: neither allows more."""
    policy = json.loads((CONFIG / "iam-policy.json").read_text())
    # Its bucket is encrypted with a key of S3's own, which needs no permission.
    wanted = {action for each in policy["Statement"] for action in each["Action"] if not action.startswith("kms:")}
    stack = (CONFIG / "cloudformation/ivs-export.yaml").read_text()
    role = stack[stack.index("  ExporterRole:") : stack.index("  Task:")]
    assert set(re.findall(r"\b(?:ivs|s3):[A-Z]\w+", role)) == wanted


def test_every_command_line_in_a_template_is_one_of_the_program() -> None:
    """Options are not misspelt, whatever is behind them."""
    lines = [line for name in names() if name != SETTINGS for line in command_lines((CONFIG / name).read_text())]
    assert len(lines) >= 6
    for line in lines:
        command = app.commands[line[0]]
        flags = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        assert {word for word in line[1:] if word.startswith("--")} <= flags, line


def command_lines(text: str) -> Iterator[Sequence[str]]:
    """The words after the program's name, to the end of the command."""
    joined = re.sub(r"\s*\n\s+(?=--)", " ", text)
    for found in re.finditer(r"(?:\bivs-export(?<!/)|args: \[|Command: \[|\"command\": \[) ?([a-z]+[^\n]*)", joined):
        words = re.findall(r"--[a-z-]+|[a-z]+", found[1].split(">")[0].split("`")[0])
        if words and words[0] in app.commands:
            yield words


def test_a_release_is_one_version_everywhere(tmp_path: Path) -> None:
    """The tag, the package, the changelog and the templates: so it is here, but for what no version has yet."""
    for name in ("scripts/release-check", "exporter/__init__.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(CONFIG, tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    script, changelog = tmp_path / "scripts/release-check", tmp_path / "CHANGELOG.md"
    text = re.sub(r"(?s)(?<=## Unreleased\n).*?(?=## \d)", "", (ROOT / "CHANGELOG.md").read_text())
    changelog.write_text(text)
    assert check(script, f"v{__version__}") == (0, "")
    assert f"says {__version__}" in check(script, "v0.0.1")[1]
    changelog.write_text(text.replace("## Unreleased\n", "## Unreleased\n- One more.\n"))
    assert "under Unreleased: 1" in check(script, f"v{__version__}")[1]
    changelog.write_text(text.replace(f"## {__version__} (", f"## {__version__}rc1 ("))
    assert "no section" in check(script, f"v{__version__}")[1]
    changelog.write_text(text)
    with_mistake(tmp_path / "config/kubernetes/cronjob.yaml", tmp_path / "config", __version__, "0.0.1")
    assert "images of another version: config/cronjob.yaml" in check(script, f"v{__version__}")[1]


def test_a_release_says_where_the_project_is_at_home(tmp_path: Path) -> None:
    """The package has its addresses, and no link of its page needs a file beside it; each leads to a file of ours."""
    for name in ("scripts/name-home", "pyproject.toml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    home, tag = "https://forge.example/team/ivs-export", f"v{__version__}"
    assert check(tmp_path / "scripts/name-home", home, tag) == (0, "")
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Homepage"] == home
    assert project["scripts"]
    links = re.findall(r"\]\(([^)#]+)", (tmp_path / "README.md").read_text())
    ours = [link.removeprefix(f"{home}/") for link in links if link.startswith(home)]
    assert len(ours) > 20
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in ours if not (ROOT / link.split(tag + "/")[1]).exists()] == []
    assert "once for a tree" in check(tmp_path / "scripts/name-home", home, tag)[1]


@needs_tools
def test_the_image() -> None:
    """A linter has nothing to say of the Dockerfile."""
    assert check(TOOLS / "hadolint", ROOT / "Dockerfile") == (0, "")


def test_the_steps_of_the_image_in_a_clean_folder(tmp_path: Path) -> None:
    """What the Dockerfile copies is all that the wheel is made of; the wheel runs, and has the templates.

    No engine builds images here.
    """
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for source in " ".join(copied).split():
        place = tmp_path / source
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)
    wheels = tmp_path / "wheels"
    python = ROOT / ".venv/bin/python"
    built = run(python, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels, folder=tmp_path)
    assert built.returncode == 0, built.stderr
    [wheel] = wheels.iterdir()
    place = tmp_path / "installed"
    shutil.unpack_archive(wheel, place, "zip")
    assert run(python, "-m", "compileall", "-q", "exporter/config", folder=place).returncode == 0  # as pip does
    said = run(python, "-m", "exporter", "config", "--list", folder=place)
    assert said.stdout.split() == names()
    assert (place / "exporter" / "report" / "style.css").exists()
    assert (place / "exporter" / "py.typed").exists()


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a folder, which its Python looks into first."""
    words = [str(word) for word in command]
    environment: dict[str, Any] = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_a_template_that_is_named_by_its_file_alone_is_shown_the_way_to() -> None:
    """Whoever leaves the folder out reads the whole name; a name of none reads where all stand."""
    with pytest.raises(UsageError, match=r"'ivs-export\.timer'; did you mean systemd/ivs-export\.timer\?"):
        text_of("ivs-export.timer")
    with pytest.raises(UsageError, match=r"there is no template 'timer'; `ivs-export config --list` shows"):
        text_of("timer")
