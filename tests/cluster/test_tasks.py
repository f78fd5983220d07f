"""What a task is handed, and what a worker makes of it."""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from exporter.cli.settings_sources import load
from exporter.cluster import worker
from exporter.cluster.tasks import ScopeTask, settings_text, tasks_of, toml_of, with_external_id
from exporter.cluster.worker import TaskFailed, export_scope
from exporter.discovery.request import Period, Request, ScopeChoice
from exporter.discovery.target_list import Targets
from exporter.errors import UsageError
from exporter.pipeline.scope_plan import plan_scopes
from exporter.settings import AccountSettings, PrivacySettings, RunSettings, S3Settings, Settings
from tests.support.cluster import ACCOUNTS, EXTERNAL_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "the-key-of-hashes"
SETTINGS = Settings(
    lake="s3://lake/ivs",
    regions=("eu-west-1", "us-east-1"),
    exclude_stages=(
        "arn:aws:ivs:eu-west-1:111122223333:stage/Test",
        "arn:aws:ivs:us-east-1:111122223333:stage/Test",
    ),
    accounts=tuple(
        AccountSettings(role_arn=f"arn:aws:iam::{each}:role/reader", external_id=SecretStr(EXTERNAL_ID))
        for each in ACCOUNTS[:2]
    ),
    privacy=PrivacySettings(user_id="hash", attributes=("plan", "team"), key=SecretStr(KEY)),
    run=RunSettings(grace_s=60.0),
)


def tasks(settings: Settings = SETTINGS, request: Request | None = None) -> list[ScopeTask]:
    return tasks_of(settings, request or Request(), "night 7", "info")


def option(arguments: Sequence[str], name: str) -> str | None:
    """What follows an option, where it is there."""
    return arguments[arguments.index(name) + 1] if name in arguments else None


def test_a_task_is_one_scope_and_holds_no_secret() -> None:
    """Its run is of one account and region, waits for another run, and has the night's tag."""
    found = tasks()
    assert [task.name for task in found] == [
        f"{account}/{region}" for account in ACCOUNTS[:2] for region in ("eu-west-1", "us-east-1")
    ]
    for task in found:
        assert option(task.arguments, "--region") == task.region
        assert option(task.arguments, "--account") == task.account_id
        assert option(task.arguments, "--tag") == "night 7"
        assert "--wait" in task.arguments
        for secret in (EXTERNAL_ID, KEY):
            assert secret.encode() not in pickle.dumps(task)


def test_a_tasks_settings_are_the_runs(tmp_path: Path) -> None:
    """They are those of the run for its scope, when its file is read, with the external id from the worker's file."""
    [task, *_] = tasks()
    own = {"accounts": [{"role_arn": task.role_arn, "external_id": EXTERNAL_ID}]}
    file = tmp_path / "task.toml"
    file.write_text(with_external_id(task.settings, task.role_arn or "", own) or "")
    read = load({}, file)
    role = SETTINGS.accounts[0].model_copy(update={"regions": ("eu-west-1",)})
    privacy = SETTINGS.privacy.model_copy(update={"key": None})
    expected = {"regions": ("eu-west-1",), "accounts": (role,), "privacy": privacy}
    assert read == SETTINGS.model_copy(update={**expected, "exclude_stages": SETTINGS.exclude_stages[:1]})
    assert with_external_id(task.settings, task.role_arn or "", {}) is None


def test_what_was_asked_for_is_asked_of_each_task() -> None:
    """Periods, refetching, backfills, accounts, stages; a list of targets is one process's, and refused."""
    arn = "arn:aws:ivs:eu-west-1:444455556666:stage/AbCd"
    asked = Request(period=Period(1_000_000, 2_000_000), refetch=True, scopes=ScopeChoice(account_id=ACCOUNTS[1]))
    [task] = tasks(Settings(regions=("eu-west-1",), stages=(arn,)), asked)
    assert (option(task.arguments, "--since"), option(task.arguments, "--until")) == (
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
    )
    assert "--refetch" in task.arguments
    assert tomllib.loads(task.settings)["stages"] == [arn]
    [task] = tasks(Settings(lake="lake", regions=("eu-west-1",)), Request(backfill_tables=True))
    assert "--backfill-tables" in task.arguments
    assert option(task.arguments, "--account") is None
    assert tomllib.loads(task.settings)["lake"] == str(Path("lake").absolute())
    with pytest.raises(UsageError, match="--targets with --dask is refused"):
        tasks(request=Request(Targets({arn: {}})))


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.booleans() | NUMBERS | TEXTS | st.lists(st.integers(0, 9) | TEXTS, max_size=3)
NAMES = st.sampled_from(("lake", "run", "accounts", "role_arn", "grace_s"))


@given(st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES) | st.lists(st.dictionaries(NAMES, VALUES))))
def test_nested_values_are_read_back_from_toml(values: dict[str, object]) -> None:
    """Whatever texts and numbers they are, but for empty lists of tables, which TOML can't tell from lists."""
    assert tomllib.loads(toml_of(values)) == values


@given(TEXTS.filter(str.isprintable))
def test_hostile_texts_stay_texts(text: str) -> None:
    """No text of a setting can become a key of the task's file."""
    settings = Settings(regions=("eu-west-1",), s3=S3Settings(acl=text))
    [plan] = plan_scopes(settings, Request())
    read = tomllib.loads(settings_text(settings, plan))
    assert read.pop("s3") == {"acl": text}
    assert set(read) == {"lake", "regions"}


def test_a_worker_of_another_version_refuses() -> None:
    """What a task means may have changed since: it is told, and nothing is run."""
    [task, *_] = tasks()
    with pytest.raises(TaskFailed, match=r"this worker has ivs-export .*, and the command 0\.0\.0: install the same"):
        export_scope(replace(task, version="0.0.0"), "night 7")


@pytest.mark.parametrize("text", [None, "", 'regions = ["eu-west-1"]', "[[accounts]]\nrole_arn = 5"])
def test_a_worker_without_the_external_id(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task fails, and says where the external id is to be."""
    if text is not None:
        (tmp_path / "worker.toml").write_text(text)
        monkeypatch.setenv("IVS_EXPORT_CONFIG", str(tmp_path / "worker.toml"))
    [task, *_] = tasks()
    with pytest.raises(TaskFailed, match="needs its external id: name a settings' file that has it in IVS_EXPORT_CONF"):
        export_scope(task, "night 7")


@pytest.mark.parametrize(
    ("code", "printed", "said"),
    [
        (1, b'{"failures": [{"message": "no such bucket"}]}', "its run ended with exit code 1: no such bucket"),
        (-9, b"", "its run ended with signal 9"),
        (0, b"{", "its run ended with exit code 0"),
        (143, b'{"failures": []}', "its run ended with exit code 143"),
    ],
)
def test_a_run_that_is_worth_another_try(code: int, printed: bytes, said: str) -> None:
    """One that failed as a whole, was stopped or was killed; one that came to its end is not done again."""
    with pytest.raises(TaskFailed, match=f"^{said}$"):
        worker._judged(code, printed)  # noqa: SLF001 - else a process of its own for each
    assert worker._judged(3, b'{"failures": []}') == {"failures": []}  # noqa: SLF001 - the same


def test_an_exporter_whose_parent_is_gone_does_not_begin() -> None:
    """A process that is started for a worker that has died meanwhile ends at once, as if it had been asked to stop."""
    started = subprocess.run(
        [sys.executable, "-m", "exporter.cluster.bound", "1", "--version"], capture_output=True, check=False
    )
    assert (started.returncode, started.stdout) == (143, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells a process of its parent's end")
def test_an_exporter_ends_with_its_worker() -> None:
    """A worker that is killed takes its exporter with it: it is asked to stop, and ends."""
    code = (
        "import os, subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'exporter.cluster.bound', str(os.getpid()), 'emulate']\n"
        "process = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "process.stdout.readline()\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        exporter = int(parent.stdout.readline())
        is_over = os.pidfd_open(exporter)
        parent.kill()
        assert select.select([is_over], [], [], 30.0)[0] == [is_over]
        os.close(is_over)
