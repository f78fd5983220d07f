"""The example in ``config/dask``, on a real cluster of this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from exporter.emulator import Emulator
from tests.support.command import end_of, environment_of
from tests.support.environment import NO_CREDENTIALS
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

SCRIPT = Path(__file__).parents[2] / "config/dask/ivs_export_night.py"
PLACES = ("eu-west-1", "us-east-1")
KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}


@pytest.mark.slow
async def test_a_night_on_a_cluster_whose_workers_are_looked_at(tmp_path: Path) -> None:
    """Nothing is begun beside a worker without credentials; with them, the summary is the night's."""
    config = tmp_path / "fleet.toml"
    config.write_text(f'lake = "{tmp_path}/lake"\nregions = {list(PLACES)}\n[quota]\ncalls_per_second = 5000.0\n')
    async with (
        Emulator(options_of(small_world(stages=1, active_share=0.0), regions=PLACES)) as service,
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            env={**NO_CREDENTIALS, **environment_of(service.url)},
            asynchronous=True,
        ) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        command = [sys.executable, str(SCRIPT), cluster.scheduler_address, str(config), "night 7"]
        environment = environment_of(service.url, KEYS)
        refused = await end_of(command, environment)
        assert (refused.code, refused.printed) == (1, "")
        assert "it finds no AWS credentials" in refused.logged
        assert not (tmp_path / "lake").exists()

        await client.run(lambda: os.environ.update(KEYS))
        ended = await end_of(command, environment)
        truth = service.truth()
    assert (ended.code, ended.summary["outcome"], ended.summary["tag"]) == (0, "complete", "night 7"), ended.logged
    assert lake_rows(tmp_path / "lake") == expected(truth)
    assert ended.summary["events"]["written"] == sum(expected(truth).values())
