"""botocore's list of all endpoints, read once a process."""

from __future__ import annotations

from typing import Any

from exporter.aws.models import PlainFiles

_read: dict[str, Any] = {}


class EndpointsReadOnce(PlainFiles):
    """Reads the list once for all sessions of the tests, of which each would take some 40 ms for it.

    botocore fills it in while it is used, in the same way for each client: its own sessions share one as well.
    """

    def load_file(self, file_path: str) -> Any:
        """The model at a path without its extension; None where there is none."""
        if not file_path.endswith("botocore/data/endpoints"):
            return super().load_file(file_path)
        if file_path not in _read:
            _read[file_path] = super().load_file(file_path)
        return _read[file_path]
