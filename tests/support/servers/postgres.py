"""A real PostgreSQL for tests: Debian's, alone on 127.0.0.1, its data in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.support.servers.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "ivs", "correct-horse"
_DEBIAN = Path("/usr/lib/postgresql")
_READY_S_MAX, _STOP_S_MAX, _POLL_S = 60.0, 30.0, 0.1


def find_postgres() -> Path | None:
    """The folder of the server's programs; None where there is no server."""
    found = shutil.which("postgres")
    folders = [Path(found).parent] if found else []
    folders += sorted(_DEBIAN.glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """A server with a database that :data:`USER` may do all in; gives its address, ``postgresql://…``."""
    programs = find_postgres()
    assert programs is not None
    [port] = free_ports(1)
    # The server refuses to be root, and as another user it reaches no folder of the tests'.
    home = Path(tempfile.mkdtemp(prefix="ivs-export-postgres-"))
    try:
        secret = home / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            for path in (home, secret):
                shutil.chown(path, "postgres", "postgres")
        data = str(home / "data")
        initdb = [str(programs / "initdb"), "--no-sync", f"--pgdata={data}", f"--username={USER}"]
        _run_to_its_end([*initdb, "--auth=scram-sha-256", f"--pwfile={secret}"], home)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [str(programs / "postgres"), "-D", data, "-p", str(port)]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen([*_as_its_user(), *command], cwd=home, stdout=log, stderr=log)
        try:
            url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
            _wait_until_ready(url, server, home / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # its fast way to stop, which ends its own processes, too
            server.wait(_STOP_S_MAX)
    finally:
        shutil.rmtree(home)


def _as_its_user() -> list[str]:
    """As the user that Debian made for it where the tests are root's, and not to outlive them."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []
    return [setpriv, *user, "--pdeathsig", "INT"]


def _run_to_its_end(command: list[str], home: Path) -> None:
    done = subprocess.run([*_as_its_user(), *command], cwd=home, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"no database was made: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    latest_s = time.monotonic() + _READY_S_MAX
    while time.monotonic() < latest_s and server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(_POLL_S)
        else:
            return
    raise RuntimeError(f"no server: {log.read_text()[-1000:]}")
