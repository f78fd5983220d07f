"""What a run needs of this machine: a temporary folder, and enough open files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile

from exporter.doctor.check import Check
from exporter.machine import open_files
from exporter.machine.daemon_threads import DaemonThreads
from exporter.pipeline.page_spool import temporary_folder_problem
from exporter.text import plain

_ROOM_BYTES = 256 << 20
_MIB = 1 << 20


async def check_temporary_folder() -> Check:
    """Write a few bytes to the temporary folder and read them back, and see what room it has."""
    return await asyncio.wrap_future(DaemonThreads().submit(_temporary_folder))


async def check_open_files() -> Check:
    """See how many files this process may have open, once it has asked for as many as the system gives."""
    open_files.raise_limit()
    limit = open_files.limit()
    if limit is None:
        return Check("open-files", "ok", "no limit")
    detail = f"{limit:,} at most"
    if problem := open_files.problem_of(limit):
        is_failed = limit < open_files.NEEDED
        return Check("open-files", "failed" if is_failed else "warning", f"{detail}: {problem}", open_files.REMEDY)
    return Check("open-files", "ok", detail)


def _temporary_folder() -> Check:
    name = "temporary-folder"
    if problem := temporary_folder_problem():
        remedy = "set TMPDIR to a folder that can be written and has room; in a container, mount one"
        return Check(name, "failed", problem, remedy)
    folder = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{plain(folder)}, {free_bytes // _MIB:,} MiB free"
    if free_bytes < _ROOM_BYTES:
        return Check(name, "warning", detail, f"make room: large participants need up to {_ROOM_BYTES // _MIB} MiB")
    return Check(name, "ok", detail)
