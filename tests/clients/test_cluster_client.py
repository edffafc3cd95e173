"""What the cluster client does to a real API server, and what it makes of its answers."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ApplyMode, ClusterClient, PatchType
from tasks.clients.cluster.connection import connect
from tasks.clients.cluster.converge import Action, converge
from tasks.clients.cluster.gathering import read_all
from tasks.core.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterForbiddenError,
    ClusterRejectedError,
    ClusterUnavailableError,
)
from tasks.core.kubeconfigs import ConnectionSettings
from tasks.core.manifests import Manifest, ObjectRef

pytestmark = pytest.mark.cluster


@pytest.fixture(name="client")
def _client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


@pytest.fixture(name="namespace")
def _namespace(client: ClusterClient) -> Iterator[str]:
    made = client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "client-"}})
    name = made["metadata"]["name"]
    yield name
    client.delete(ObjectRef("v1", "Namespace", name))


def config_map(namespace: str, **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": data,
    }


def test_an_object_that_does_not_exist_is_none(client: ClusterClient, namespace: str) -> None:
    assert client.get(ObjectRef("v1", "ConfigMap", "absent", namespace)) is None


def test_a_kind_that_is_not_served_has_no_objects(client: ClusterClient) -> None:
    assert client.get(ObjectRef("example.com/v1", "Tea", "pot", "default")) is None
    assert client.list_objects("example.com/v1", "Tea") == []


def test_writing_a_kind_that_is_not_served_is_an_error_that_names_it(client: ClusterClient) -> None:
    with pytest.raises(ClusterError, match=r"example\.com/v1 served by the cluster"):
        client.create({"apiVersion": "example.com/v1", "kind": "Tea", "metadata": {"name": "pot"}})


def test_a_kind_outside_the_table_is_discovered(client: ClusterClient) -> None:
    assert client.list_objects("scheduling.k8s.io/v1", "PriorityClass") != []


def test_listed_objects_carry_their_kind(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace, a="1"))

    listed = client.list_objects("v1", "ConfigMap", namespace)

    assert ("v1", "ConfigMap", "settings") in [
        (item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in listed
    ]


def test_a_taken_name_is_a_conflict(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace))

    with pytest.raises(ClusterConflictError):
        client.create(config_map(namespace))


def test_a_dry_run_stores_nothing(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace), ApplyMode.SERVER_DRY_RUN)

    assert client.get(ObjectRef("v1", "ConfigMap", "settings", namespace)) is None


def test_an_invalid_object_is_rejected_with_the_servers_words(client: ClusterClient) -> None:
    with pytest.raises(ClusterRejectedError, match="RFC 1123"):
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "Not_Valid"}})


def test_a_stale_precondition_is_a_conflict(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace, a="1"))
    patch: Manifest = {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}}

    with pytest.raises(ClusterConflictError):
        client.patch(ObjectRef("v1", "ConfigMap", "settings", namespace), patch)


def test_a_json_patch_changes_what_its_pointer_names(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace, a="1", b="1"))
    operations: list[Manifest] = [{"op": "replace", "path": "/data/a", "value": "2"}]

    changed = client.patch(ObjectRef("v1", "ConfigMap", "settings", namespace), operations, PatchType.JSON)

    assert changed["data"] == {"a": "2", "b": "1"}


def test_deleting_with_another_uid_deletes_nothing(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace))
    ref = ObjectRef("v1", "ConfigMap", "settings", namespace)

    with pytest.raises(ClusterConflictError):
        client.delete(ref, uid="00000000-0000-0000-0000-000000000000")

    assert client.get(ref) is not None


def test_deleting_what_is_gone_is_fine(client: ClusterClient, namespace: str) -> None:
    client.delete(ObjectRef("v1", "ConfigMap", "absent", namespace))


def test_a_second_convergence_writes_nothing(client: ClusterClient, namespace: str) -> None:
    first = converge(client, [config_map(namespace, a="1")])
    ref = ObjectRef("v1", "ConfigMap", "settings", namespace)
    version = (client.get(ref) or {})["metadata"]["resourceVersion"]

    second = converge(client, [config_map(namespace, a="1")])

    assert [change.action for change in first] == [Action.CREATED]
    assert [change.action for change in second] == [Action.NONE]
    assert (client.get(ref) or {})["metadata"]["resourceVersion"] == version


def test_convergence_changes_only_what_differs_and_says_what(client: ClusterClient, namespace: str) -> None:
    converge(client, [config_map(namespace, a="1", b="1")])

    change = converge(client, [config_map(namespace, a="2", b="1")])[0]

    assert change.action is Action.UPDATED
    assert [difference.summary() for difference in change.differences] == ["/data/a: expected '2', found '1'"]


def test_convergence_does_not_take_a_field_from_its_owner(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace, a="written by an update, not by an apply"))

    with pytest.raises(ClusterConflictError, match=r"conflict with .*: \.data\.a"):
        converge(client, [config_map(namespace, a="ours")])


def test_reading_many_keeps_names_and_absences_apart(client: ClusterClient, namespace: str) -> None:
    client.create(config_map(namespace))
    there = ObjectRef("v1", "ConfigMap", "settings", namespace)
    absent = ObjectRef("v1", "ConfigMap", "absent", namespace)

    found = read_all(client, [there, absent])

    assert found[absent] is None
    assert (found[there] or {})["metadata"]["name"] == "settings"


def test_a_wrong_token_is_forbidden_and_not_shown(control_plane: ControlPlane) -> None:
    settings = ConnectionSettings(
        control_plane.server, ca_file=str(control_plane.ca_file), token="wr0ng-token"
    )
    client = connect("fra-1", settings, timedelta(seconds=10))

    with pytest.raises(ClusterForbiddenError, match="fra-1") as refusal:
        client.get(ObjectRef("v1", "Namespace", "default"))

    assert "wr0ng" not in str(refusal.value)


def test_an_api_server_behind_an_unknown_authority_is_not_talked_to(control_plane: ControlPlane) -> None:
    client = connect("fra-1", ConnectionSettings(control_plane.server, token="t"), timedelta(seconds=10))

    with pytest.raises(ClusterUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get(ObjectRef("v1", "Namespace", "default"))


def test_a_closed_port_is_an_outage_that_may_be_retried() -> None:
    client = connect("fra-1", ConnectionSettings("https://127.0.0.1:1", token="t"), timedelta(seconds=2))

    with pytest.raises(ClusterUnavailableError, match="fra-1") as outage:
        client.get(ObjectRef("v1", "Namespace", "default"))

    assert outage.value.retryable
