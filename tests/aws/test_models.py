"""The loader of botocore's models finds and reads what botocore's own does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader

from exporter.aws import models
from exporter.aws.models import ModelLoader, PlainFiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own() -> Any:
    return Loader(file_loader=JSONFileLoader())


@pytest.fixture
def ours(own: Any, monkeypatch: pytest.MonkeyPatch) -> ModelLoader:
    monkeypatch.setattr(models, "PlainFiles", PlainFiles)  # as it is outside of tests
    return ModelLoader(own.search_paths)


@pytest.mark.parametrize("service", ["ivs-realtime", "s3", "sts", "sso", "sso-oidc"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
def test_a_model_is_botocores(own: Any, ours: ModelLoader, service: str, kind: str) -> None:
    assert json.dumps(ours.load_service_model(service, kind)) == json.dumps(own.load_service_model(service, kind))


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration", "_retry"])
def test_data_of_no_service_is_botocores(own: Any, ours: ModelLoader, name: str) -> None:
    assert json.dumps(ours.load_data_with_path(name)) == json.dumps(own.load_data_with_path(name))
    assert ours.is_builtin_path(ours.load_data_with_path(name)[1])


@pytest.mark.parametrize(
    ("service", "kind"), [("no-such", "service-2"), ("sts", "waiters-2"), ("endpoints.json", "service-2")]
)
def test_what_is_not_there_is_an_unknown_service(own: Any, ours: ModelLoader, service: str, kind: str) -> None:
    for loader in (own, ours):
        with pytest.raises(
            UnknownServiceError, match=f"Unknown service: '{service}'. Valid service names are: .*ivs-real"
        ):
            loader.load_service_model(service, kind)
    with pytest.raises(DataNotFoundError):
        ours.load_data("no-such")


def test_a_users_own_model_comes_first(own: Any, tmp_path: Path) -> None:
    """As in a folder that AWS_DATA_PATH names; so does one of a service that botocore lacks."""
    for service in ("ivs-realtime", "new-service"):
        folder = tmp_path / service / "2099-01-01"
        folder.mkdir(parents=True)
        (folder / "service-2.json").write_text('{"metadata": {"of": "a user"}}')
    loader = ModelLoader([str(tmp_path), str(tmp_path / "missing"), *own.search_paths])
    assert loader.load_service_model("ivs-realtime", "service-2")["metadata"] == {"of": "a user"}
    assert loader.load_service_model("new-service", "service-2")["metadata"] == {"of": "a user"}
    assert not loader.is_builtin_path(loader.load_data_with_path("new-service/2099-01-01/service-2")[1])
