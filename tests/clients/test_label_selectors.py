"""The API server selects the same, and refuses the same, as tasks/core/label_selectors.py."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ClusterClient
from tasks.core.errors import ClusterRejectedError
from tasks.core.manifests import ObjectRef
from tests.support.label_selectors import LABELS, REFUSED, SELECTED

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


@pytest.fixture(scope="module")
def namespace(client: ClusterClient) -> Iterator[str]:
    name = f"labels-{uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for each, labels in LABELS.items():
        metadata = {"name": each, "namespace": name, "labels": labels}
        client.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    yield name
    client.delete(ObjectRef("v1", "Namespace", name))


@pytest.mark.parametrize(("selector", "names"), SELECTED.items())
def test_an_api_server_selects_the_same(
    client: ClusterClient, namespace: str, selector: str, names: str
) -> None:
    found = {item["metadata"]["name"] for item in client.list_objects("v1", "Secret", namespace, selector)}

    assert found == set(names.split())


@pytest.mark.parametrize("selector", REFUSED)
def test_an_api_server_refuses_the_same(client: ClusterClient, namespace: str, selector: str) -> None:
    with pytest.raises(ClusterRejectedError, match="HTTP 400"):
        client.list_objects("v1", "Secret", namespace, selector)
