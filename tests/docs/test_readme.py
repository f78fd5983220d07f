"""What the README says can be typed, can be typed; and what it says of files and columns is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from exporter.ivs.operations import Operation
from tests.support import tables_lake

if TYPE_CHECKING:
    from tests.docs.conftest import Shell

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line.startswith("ivs-export")
]
TARGET = "stage_arn,session_id,participant_id\n"


def blocks(kind: str) -> list[str]:
    return [text for each, text in BLOCKS if each == kind]


def a_stage(shell: Shell) -> str:
    """The ARN of a stage that the lake in the shell's folder holds."""
    files = f"{shell.folder}/lake/events/**/*.parquet"
    return str(duckdb.read_parquet(files).max("stage_arn").fetchall()[0][0])


@pytest.mark.slow
def test_every_command_of_the_readme_runs(shell: Shell) -> None:
    """Each line that begins with ivs-export ends well against an emulator; the lake on S3 becomes a folder."""
    shell.run("ivs-export run --region eu-west-1 --lake ./lake")
    (shell.folder / "sessions.csv").write_text(TARGET + a_stage(shell) + ",,\n")
    (shell.folder / "fleet.toml").write_text('regions = ["eu-west-1", "us-east-1"]\nlake = "./lake"\n')
    ran = 0
    for command in COMMANDS:
        if command.startswith("ivs-export emulate") or " --dask " in command:  # which has tests of its own
            continue
        shell.run(command.replace("s3://my-lake/ivs", "./other-lake"))
        ran += 1
    assert ran >= 6


def test_the_emulators_own_command_starts(shell: Shell) -> None:
    """The fault and the options that the README shows are understood: the emulator prints where it serves."""
    (command,) = [command for command in COMMANDS if command.startswith("ivs-export emulate")]
    command = command.replace("--port 4599", "--port 0")
    printed = shell.run(
        f"({command} & echo $! >pid) >out; sleep 0.1; "
        "for i in $(seq 100); do grep -q AWS_ENDPOINT out && break; sleep 0.1; done; "
        "kill $(cat pid); cat out"
    )
    assert "AWS_ENDPOINT_URL_IVS_REALTIME=http://127.0.0.1:" in printed


@pytest.mark.slow
def test_the_cron_line_runs_as_it_stands(shell: Shell) -> None:
    """The nightly line, with its paths put here, exports and appends one JSON object."""
    (line,) = blocks("cron")
    (shell.folder / "ivs-export.toml").write_text('regions = ["eu-west-1"]\nlake = "./lake"\n')
    command = line.strip().split("* * * ", 1)[1].strip()
    command = command.replace("/opt/ivs-export/bin/", "").replace("/etc/ivs-export/", "./").replace("/var/log/", "./")
    shell.run(command)
    shell.run(command)
    first, second = map(json.loads, (shell.folder / "ivs-export.jsonl").read_text().splitlines())
    assert first["outcome"] == "complete"
    assert second["sessions"]["sealed"] >= first["sessions"]["sealed"]


def test_the_first_sql_answers(tmp_path: Path) -> None:
    """DuckDB takes the README's queries, and no participant counts twice in them."""
    tables_lake.write(tmp_path / "lake")
    complete, people, failures = [query.replace("'lake/", f"'{tmp_path}/lake/") for query in blocks("sql")[:3]]
    with duckdb.connect() as database:
        rows = database.sql(complete).to_arrow_table().select(["session_id", "participant_count"]).to_pylist()
        assert rows == [{"session_id": "st-over", "participant_count": 3}] * 2
        assert database.execute(people).fetchall() == [("lobby", 2)]
        assert [column[0] for column in database.execute(failures).description or ()] == [
            *("event_date", "error_code", "failures")
        ]


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=lambda path: path.name
)
def test_every_link_leads_somewhere(document: Path) -> None:
    """Each relative link of each document is a file of the repository."""
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_policy_names_what_the_program_calls() -> None:
    """The least policy allows each call that the program makes of IVS, what the lake needs, and nothing with a star.

    What only details need is a statement of its own, which can be left out.
    """
    policy = json.loads((ROOT / "config/iam-policy.json").read_text())
    of_lists, of_details = (set(statement["Action"]) for statement in policy["Statement"][:2])
    assert of_details == {"ivs:GetParticipant"}
    assert of_lists == {f"ivs:{operation.value}" for operation in Operation} - of_details
    assert {statement["Resource"] for statement in policy["Statement"][:2]} == {"arn:aws:ivs:*:111122223333:stage/*"}
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert {action for action in actions if action.startswith("ivs:")} == of_lists | of_details
    assert not any("*" in action for action in actions)
    uploads, leases = json.loads((ROOT / "config/s3-lifecycle.json").read_text())["Rules"]
    assert uploads["AbortIncompleteMultipartUpload"]
    assert "Expiration" not in uploads
    assert (leases["Filter"]["Prefix"], leases["Expiration"]) == ("ivs/_log/", {"ExpiredObjectDeleteMarker": True})
