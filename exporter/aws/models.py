"""botocore's own models and rules, read from disk once for all sessions of a run, and those alone that are asked for.

botocore looks through the folders of all 400 services before it reads one, and makes ordered dictionaries of the list
of all endpoints, which takes several times as long as plain ones. `Loader`, its parts and its methods are public, in
botocore's `loaders.py`.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModelLoader(Loader):  # type: ignore[misc] # botocore has no types
    """Loads what botocore's own loader loads from ``search_paths``, and finds a service without a look at the others.

    A service that is not there is an UnknownServiceError, as it is of botocore's.
    """

    def __init__(self, search_paths: Sequence[str]) -> None:
        super().__init__(list(search_paths), PlainFiles(), include_default_search_paths=False)

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's own signature
        """The names of all services, whether or not they have a model of this type."""
        folders = [path for path in self.search_paths if Path(path).is_dir()]
        return sorted({entry.name for folder in folders for entry in os.scandir(folder) if entry.is_dir()})

    def list_api_versions(self, service_name: str, type_name: str) -> list[str]:
        """The versions of one model of a service. Raises UnknownServiceError where there is none."""
        try:
            versions: list[str] = super().list_api_versions(service_name, type_name)
        except DataNotFoundError as error:
            known = ", ".join(self.list_available_services(type_name))
            raise UnknownServiceError(service_name=service_name, known_service_names=known) from error
        return versions


class PlainFiles(JSONFileLoader):  # type: ignore[misc] # the same
    """Reads a model into plain dictionaries, which keep their order, too."""

    def load_file(self, file_path: str) -> Any:  # noqa: ANN401 - whatever the model is
        """The model at a path without its extension; None where there is none."""
        for extension, read in ((".json", Path.read_bytes), (".json.gz", _read_packed)):
            path = Path(file_path + extension)
            if path.is_file():
                return msgspec.json.decode(read(path))
        return None


def _read_packed(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())
