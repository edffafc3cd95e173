"""The rehearsal's outside world has what the real one has, under the same names."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.rehearsal.images import Image, RunnableProgram, program_of
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases import ReleaseServer, RepositoryName
from deployments.rehearsal.releases.files import METRICS_SERVER_PATH, ReleaseFiles
from deployments.rehearsal.releases.listing import REPOSITORY
from tasks.clients.registry import RegistryClient
from tasks.core.bundles import read_bundle
from tasks.core.manifests import read_manifests, ref_of, sha256_hex
from tasks.core.references import parse_reference
from tests.support.release_server import access, deadline

R3_OBJECTS = {
    "CatalogSource olm/operatorhubio-catalog",
    "ClusterRole aggregate-olm-edit",
    "ClusterRole aggregate-olm-view",
    "ClusterRole system:controller:operator-lifecycle-manager",
    "ClusterRoleBinding olm-operator-binding-olm",
    "ClusterServiceVersion olm/packageserver",
    "Deployment olm/catalog-operator",
    "Deployment olm/olm-operator",
    "Namespace olm",
    "Namespace operators",
    "OLMConfig cluster",
    "OperatorGroup olm/olm-operators",
    "OperatorGroup operators/global-operators",
    "ServiceAccount olm/olm-operator-serviceaccount",
}
NETWORK_POLICIES = {
    "NetworkPolicy olm/bundle-unpack-egress",
    "NetworkPolicy olm/catalog-operator",
    "NetworkPolicy olm/default-deny-all-traffic",
    "NetworkPolicy olm/olm-catalog-grpc-ingress",
    "NetworkPolicy olm/olm-operator",
    "NetworkPolicy olm/packageserver",
    "NetworkPolicy operators/default-allow-all",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer() as running:
        yield running


def _objects(path: str) -> list[dict[str, Any]]:
    content = ReleaseFiles(lambda _version: []).find(path)
    assert content is not None
    return read_manifests(content.decode(), path)


def _names(path: str) -> list[str]:
    return [str(ref_of(manifest)) for manifest in _objects(path)]


def test_olm_0_20_0_has_the_objects_of_r3() -> None:
    """R3: 24 rows, 8 of them CRDs."""
    names = _names("/olm/0.20.0/olm.yaml")

    assert (set(names), len(names)) == (R3_OBJECTS, 14)


def test_olm_0_46_0_has_network_policies_besides() -> None:
    assert set(_names("/olm/0.46.0/olm.yaml")) == R3_OBJECTS | NETWORK_POLICIES


def test_namespaces_come_first_and_the_catalog_last() -> None:
    names = _names("/olm/0.46.0/olm.yaml")

    assert (names[:2], names[-1]) == (
        ["Namespace olm", "Namespace operators"],
        "CatalogSource olm/operatorhubio-catalog",
    )


def test_olm_0_46_0_enforces_pod_security() -> None:
    labels = [manifest["metadata"]["labels"] for manifest in _objects("/olm/0.46.0/olm.yaml")[:2]]

    assert [label["pod-security.kubernetes.io/enforce"] for label in labels] == ["restricted", "baseline"]


@pytest.mark.parametrize("version", list(OlmVersion))
def test_the_packageserver_says_its_version_as_the_releases_do(version: OlmVersion) -> None:
    """operator-sdk reads the label `olm.version`, with a leading v since 0.19."""
    objects = {item["kind"]: item for item in _objects(f"/olm/{version.value}/olm.yaml")}
    csv = objects["ClusterServiceVersion"]

    assert csv["metadata"]["labels"] == {"olm.version": f"v{version.value}"}
    assert csv["spec"]["apiservicedefinitions"]["owned"][0]["group"] == "packages.operators.coreos.com"


@pytest.mark.parametrize("version", list(OlmVersion))
def test_every_container_has_a_program_in_the_rehearsal(version: OlmVersion) -> None:
    manifests = _objects(f"/olm/{version.value}/olm.yaml") + _objects(METRICS_SERVER_PATH)
    containers = [
        container
        for manifest in manifests
        if manifest["kind"] == "Deployment"
        for container in manifest["spec"]["template"]["spec"]["containers"]
    ]

    programs = [program_of(container["image"], container.get("command", ())) for container in containers]

    assert programs == [
        RunnableProgram.OLM_OPERATOR,
        RunnableProgram.CATALOG_OPERATOR,
        RunnableProgram.METRICS_SERVER,
    ]


def test_an_image_that_the_rehearsal_does_not_know_has_no_program() -> None:
    assert program_of("docker.io/library/nginx:1") is None
    assert program_of(Image.OLM_0_46_0, ["/bin/cpb"]) is None
    assert program_of(Image.OLM_0_46_0) is None


def test_the_metrics_server_has_the_objects_of_the_release() -> None:
    """R11: high-availability.yaml."""
    kinds = Counter(manifest["kind"] for manifest in _objects(METRICS_SERVER_PATH))

    assert kinds == {
        "ServiceAccount": 1,
        "ClusterRole": 2,
        "RoleBinding": 1,
        "ClusterRoleBinding": 2,
        "Service": 1,
        "Deployment": 1,
        "PodDisruptionBudget": 1,
        "APIService": 1,
    }


@pytest.mark.cluster
@pytest.mark.parametrize("version", list(OlmVersion))
def test_the_crds_are_those_of_the_release(server: ReleaseServer, version: OlmVersion) -> None:
    """R3: 8 CRDs; they come out of the Go module cache."""
    file = server.olm_file(version, "crds.yaml")

    content = httpx.get(file.url).content

    assert sha256_hex(content) == file.sha256
    crds = read_manifests(content.decode(), file.url)
    assert sorted(crd["spec"]["names"]["plural"] for crd in crds) == [
        "catalogsources",
        "clusterserviceversions",
        "installplans",
        "olmconfigs",
        "operatorconditions",
        "operatorgroups",
        "operators",
        "subscriptions",
    ]


def test_the_pins_are_those_of_the_served_bytes(server: ReleaseServer) -> None:
    file = server.olm_file(OlmVersion.V0_46_0, "olm.yaml")

    assert sha256_hex(httpx.get(file.url).content) == file.sha256
    assert file.url == server.olm_location.replace("{version}", "0.46.0") + "/olm.yaml"


def test_the_metrics_server_is_where_its_location_says(server: ReleaseServer) -> None:
    location = server.metrics_server_location.replace("{version}", "0.8.0")

    assert server.metrics_server_file().url == location


def test_a_file_that_no_release_has_cannot_be_pinned(server: ReleaseServer) -> None:
    with pytest.raises(KeyError):
        server.file("/olm/9.9.9/olm.yaml")


def test_the_listing_has_pages(server: ReleaseServer) -> None:
    first = httpx.get(f"{server.url}/repos/{REPOSITORY}/releases", params={"per_page": 10})

    second = httpx.get(first.links["next"]["url"])

    assert (len(first.json()), len(second.json())) == (10, 4)
    assert "next" not in second.links


def test_the_image_holds_the_rehearsals_own_bundle(server: ReleaseServer) -> None:
    reference = parse_reference(server.image())

    with RegistryClient(access(server)) as client:
        pulled = client.pull_bundle(reference, deadline())

    bundle = read_bundle(pulled.files, str(reference), pulled.digest)
    assert (bundle.name, len(bundle.definitions)) == ("oci-service-operator.v1.1.9", 12)


def test_equal_bundles_have_equal_digests(server: ReleaseServer) -> None:
    other = ReleaseServer()

    assert other.image_digest() == server.image_digest()


def test_each_server_makes_its_own_password(server: ReleaseServer) -> None:
    assert ReleaseServer().login.password != server.login.password
    assert server.login.password not in repr(server.login)


def test_what_is_nowhere_is_404(server: ReleaseServer) -> None:
    assert httpx.get(f"{server.url}/nothing").status_code == 404
    assert httpx.get(f"{server.url}/v2/{RepositoryName.PUBLIC}/tags/list").status_code in (401, 404)


def test_after_stop_nobody_listens() -> None:
    server = ReleaseServer()
    server.start()
    url = server.url
    server.stop()

    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.cluster
def test_the_command_says_what_is_where_and_ends_when_told_to() -> None:
    command = [sys.executable, "-m", "deployments.rehearsal.releases"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        status = httpx.get(f"{url}/olm/0.46.0/olm.yaml").status_code
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()

    assert (status, process.returncode) == (200, 0)
    assert "/oracle/oci-service-operator-bundle:1.1.9" in rest
