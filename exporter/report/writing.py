"""The page's file: it is replaced whole, or stays as it was."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

from exporter.errors import ExportError, UsageError
from exporter.text import one_line, reason_of, shown

if TYPE_CHECKING:
    from pathlib import Path


def check_target(path: Path) -> None:
    """Refuse what no page can be written to, before there is one. An earlier page is replaced.

    Raises :class:`UsageError`.
    """
    name = f"--out {shown(str(path))}"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.resolve().parent.is_dir():
            raise UsageError(f"{name}: there is no folder {shown(str(path.parent))}; make it first") from None
    except (OSError, ValueError) as error:  # no permission, links in a circle; a null in the name
        raise UsageError(f"{name} can't be written: {one_line(reason_of(error))}") from None
    else:
        if stat.S_ISDIR(mode):
            raise UsageError(f"{name} is a folder: name a file in it, such as report.html")
        if not stat.S_ISREG(mode):
            raise UsageError(f"{name} is no file")


def write_page(path: Path, text: str) -> int:
    """Write the page in the place of what was there, and return its bytes. Raises :class:`ExportError`."""
    content = text.encode()
    target = path.resolve()  # a link to a file stays one
    aside = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            with aside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"{shown(str(path))} can't be written: {one_line(reason_of(error))}") from error
    return len(content)
