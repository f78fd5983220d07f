"""What a command imports: what it has come to need, and no more. A scheduler pays for it at each start."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import exporter
from exporter.emulator import Emulator, FixedWorld
from exporter.emulator.options import ClockOptions
from tests.support.command import environment_of, started
from tests.support.exports import ACCOUNT, REGION, options_of, stage_of

ROOT = Path(exporter.__file__).parents[1]
#: S3's library, what rows are made and read with, what draws on a terminal, and what serves.
NOT_YET = {"aioboto3", "boto3", "pyarrow.compute", "pyarrow.parquet", "rich", "aiohttp.web", "duckdb"}
AWS = {"botocore", "aiobotocore", "aiohttp"}
# PyArrow imports pandas wherever it is installed, and all that pandas needs: it counts as not installed.
CODE = """
import sys
class Missing:
    def find_spec(name, *_):
        if name == "pandas": raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing)
from exporter.__main__ import main
code = main()
print(*sys.modules)
sys.exit(code)
"""
EVENTS = [{"name": name, "eventTime": "2020-01-01T10:00:00Z"} for name in ("JOINED", "LEFT")]
SESSION = {
    "sessionId": "st-0000000000001",
    "startTime": "2020-01-01T10:00:00Z",
    "endTime": "2020-01-01T11:00:00Z",
    "participants": [{"participantId": "a", "events": EVENTS}],
}


async def modules_of(emulator: Emulator, *words: str) -> tuple[dict[str, object], set[str]]:
    """What a command printed, and the modules that it had imported when it ended."""
    environment = environment_of(emulator.url, {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"})
    del environment["IVS_EXPORT_TEST_CLOCK"]
    command = (sys.executable, "-c", CODE, *words, "--json")
    with started(command, {**environment, "PYTHONPATH": str(ROOT)}) as running:
        ended = await running.end()
    assert ended.code == 0, ended.logged
    report, modules = ended.printed.splitlines()
    return json.loads(report), set(modules.split())


async def test_a_run_with_nothing_to_do_imports_nothing_for_rows(tmp_path: Path) -> None:
    """Neither where no stage is, nor where all sessions are sealed; one that has rows imports what makes them."""
    empty = Emulator(options_of(clock=ClockOptions()), {(ACCOUNT, REGION): FixedWorld([])})
    async with empty as emulator:
        report, modules = await modules_of(emulator, "run", "--lake", str(tmp_path / "empty"))
        assert (report["outcome"], modules & NOT_YET) == ("nothing", set())
    world = FixedWorld([{"arn": stage_of("one"), "sessions": [SESSION]}])
    async with Emulator(options_of(clock=ClockOptions()), {(ACCOUNT, REGION): world}) as emulator:
        lake = str(tmp_path / "lake")
        report, modules = await modules_of(emulator, "run", "--lake", lake)
        assert report["outcome"] == "complete"
        assert "pyarrow.compute" in modules
        report, modules = await modules_of(emulator, "run", "--lake", lake)
        assert (report["outcome"], modules & NOT_YET) == ("nothing", set())
        _, modules = await modules_of(emulator, "status", "--lake", lake)
        assert modules & (NOT_YET | AWS) == set()
