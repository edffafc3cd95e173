"""OLM, packageserver and the OSOK bundle as real programs on the node, for both OLM releases (R2 to R10)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployments.rehearsal.bundle import bundle_files
from deployments.rehearsal.control_plane import ControlPlane, start_first_free
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS
from deployments.rehearsal.images import Image
from deployments.rehearsal.node import Node
from deployments.rehearsal.programs import OlmVersion, Programs, ensure_programs
from deployments.rehearsal.releases.olm_objects import olm_objects
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.core.bundles import read_bundle
from tasks.core.catalogs import CatalogPlace, CatalogServer, catalog_objects, render_catalog
from tasks.core.errors import ClusterRejectedError, ClusterUnavailableError
from tasks.core.manifests import Manifest, ObjectRef, read_manifests, ref_of
from tasks.core.profiles import ExpectedWebhook, built_in_profile
from tests.deployments.test_node_support import OPERATOR, wait_for

pytestmark = pytest.mark.cluster

NAMESPACE = "oci-service-operator-system"
CSV = "oci-service-operator.v1.1.9"
_OLM = "operators.coreos.com"
_PROVEN = [webhook for webhook in built_in_profile().webhooks if webhook.proof]


@pytest.fixture(
    scope="module",
    params=[OlmVersion.V0_46_0, pytest.param(OlmVersion.V0_20_0, marks=pytest.mark.olm020)],
)
def olm(request: pytest.FixtureRequest) -> OlmVersion:
    version: OlmVersion = request.param
    return version


@pytest.fixture(scope="module")
def olm_programs(olm: OlmVersion, report: Callable[[str], None]) -> Programs:
    return ensure_programs(olm, report)


@pytest.fixture(scope="module")
def cluster(
    olm_programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ControlPlane, Node]]:
    folder = tmp_path_factory.mktemp("olm")
    with (
        start_first_free(olm_programs, folder, ALL_NUMBERS[60:]) as control_plane,
        Node(control_plane, olm_programs, OPERATOR) as node,
    ):
        yield control_plane, node


@pytest.fixture(scope="module")
def client(olm: OlmVersion, olm_programs: Programs, cluster: tuple[ControlPlane, Node]) -> ClusterClient:
    """A client of a cluster on which OLM was applied."""
    found = cluster[0].client()
    crds = [
        crd for file in olm_programs.files("olm-crds") for crd in read_manifests(file.read_text(), str(file))
    ]
    for crd in crds:
        found.create(crd)
    wait_for(lambda: all(_is_established(found, crd) for crd in crds))
    for manifest in olm_objects(olm):
        found.create(manifest)
    return found


def _condition(client: ClusterClient, ref: ObjectRef, kind: str) -> str:
    status = (client.get(ref) or {}).get("status") or {}
    return next((each["status"] for each in status.get("conditions") or [] if each["type"] == kind), "")


def _is_established(client: ClusterClient, crd: Manifest) -> bool:
    return _condition(client, ref_of(crd), "Established") == "True"


def _status(client: ClusterClient, kind: str, name: str, namespace: str) -> Manifest:
    found = client.get(ObjectRef(f"{_OLM}/v1alpha1", kind, name, namespace)) or {}
    status: Manifest = found.get("status") or {}
    return status


@pytest.fixture(scope="module")
def installed(client: ClusterClient) -> ClusterClient:
    """The same cluster after the bundle was installed through a catalog that runs in it."""
    files = {name: content.encode() for name, content in bundle_files().items()}
    catalog = render_catalog(read_bundle(files, "the rehearsal's bundle"))
    place = CatalogPlace(NAMESPACE, "osok")
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for manifest in catalog_objects(catalog, place, CatalogServer(Image.OPM.value)):
        client.create(manifest)
    wait_for(lambda: _catalog_state(client) == "READY")
    client.create(_olm_object("v1", "OperatorGroup", {}))
    client.create(
        _olm_object(
            "v1alpha1",
            "Subscription",
            {
                "channel": "alpha",
                "name": "oci-service-operator",
                "source": "osok",
                "sourceNamespace": NAMESPACE,
                "installPlanApproval": "Manual",
            },
        )
    )
    # Not as soon as it exists: OLM 0.20 hangs when a plan is approved before its status is written.
    plan = wait_for(lambda: _plan_for_approval(client))
    client.patch(plan, {"spec": {"approved": True}})
    wait_for(lambda: _status(client, "ClusterServiceVersion", CSV, NAMESPACE).get("phase") == "Succeeded")
    return client


def _olm_object(version: str, kind: str, spec: Manifest) -> Manifest:
    metadata = {"name": "osok", "namespace": NAMESPACE}
    return {"apiVersion": f"{_OLM}/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def _catalog_state(client: ClusterClient) -> str:
    connection = _status(client, "CatalogSource", "osok", NAMESPACE).get("connectionState") or {}
    return str(connection.get("lastObservedState", ""))


def _plan_for_approval(client: ClusterClient) -> ObjectRef | None:
    reference = _status(client, "Subscription", "osok", NAMESPACE).get("installPlanRef")
    if not reference:
        return None
    phase = _status(client, "InstallPlan", reference["name"], NAMESPACE).get("phase")
    plan = ObjectRef(f"{_OLM}/v1alpha1", "InstallPlan", reference["name"], NAMESPACE)
    return plan if phase == "RequiresApproval" else None


def test_packageserver_serves_its_api(client: ClusterClient) -> None:
    """R3: the CSV of packageserver, and with it the APIService."""
    service = ObjectRef("apiregistration.k8s.io/v1", "APIService", f"v1.packages.{_OLM}")

    wait_for(
        lambda: _status(client, "ClusterServiceVersion", "packageserver", "olm").get("phase") == "Succeeded"
    )
    wait_for(lambda: _condition(client, service, "Available") == "True")

    assert client.read_path(f"/apis/packages.{_OLM}/v1/namespaces/olm/packagemanifests")


def test_olms_own_catalog_is_ready(client: ClusterClient) -> None:
    def state() -> str:
        status = _status(client, "CatalogSource", "operatorhubio-catalog", "olm")
        return str((status.get("connectionState") or {}).get("lastObservedState", ""))

    wait_for(lambda: state() == "READY")


def test_the_bundle_installs_through_a_catalog_in_the_cluster(installed: ClusterClient) -> None:
    """R6, R7: opm serves a ConfigMap, OLM finds it by its DNS name, the operator's pod becomes ready."""
    pods = installed.list_objects("v1", "Pod", NAMESPACE, "control-plane=controller-manager")

    assert pods
    assert installed.get(ObjectRef("v1", "Secret", _certificate_secret(), NAMESPACE))


def _certificate_secret() -> str:
    return "oci-service-operator-controller-manager-service-cert"


def _dry_run(client: ClusterClient, manifest: Manifest) -> str:
    metadata: dict[str, Any] = {**manifest["metadata"], "namespace": "default"}
    try:
        client.create({**manifest, "metadata": metadata}, ApplyMode.SERVER_DRY_RUN)
    except ClusterRejectedError as error:
        return error.found
    return ""


@pytest.mark.parametrize("webhook", _PROVEN, ids=[each.generate_name.partition("-")[0] for each in _PROVEN])
def test_each_validator_admits_and_refuses_through_the_api_server(
    installed: ClusterClient, webhook: ExpectedWebhook
) -> None:
    """R9."""
    assert webhook.proof is not None

    assert _dry_run(installed, webhook.proof.allowed) == ""
    assert webhook.proof.denial in _dry_run(installed, webhook.proof.denied)


def test_the_injector_is_called_for_every_new_pod(
    installed: ClusterClient, cluster: tuple[ControlPlane, Node]
) -> None:
    """R10: it has no namespaceSelector under OLM; failurePolicy Ignore hides failures, its log does not."""
    (operator,) = [each for each in cluster[1].workers if each.pod["metadata"]["labels"].get("control-plane")]
    proof = next(each.injector for each in built_in_profile().webhooks if each.injector)

    assert _dry_run(installed, proof.pod) == ""

    log = operator.log("manager", previous=False) or b""
    assert b"POST /mutate-pod?" in log


def test_a_binding_that_is_active_makes_the_injector_inject(installed: ClusterClient) -> None:
    """R10: the Namespace's label, an active binding whose Service selects the pod, the proxy's image."""
    proof = next(each.injector for each in built_in_profile().webhooks if each.injector)
    namespace = "mesh-demo"
    _make_mesh_namespace(installed, namespace, proof.namespace_labels)

    pod = {**proof.pod, "metadata": {**proof.pod["metadata"], "namespace": namespace}}
    made = wait_for(lambda: _created_with_proxy(installed, pod))["spec"]

    assert [each["name"] for each in made["initContainers"]] == list(proof.init_containers)
    assert [each["name"] for each in made["containers"]] == ["proof", *proof.containers]


def _created_with_proxy(client: ClusterClient, pod: Manifest) -> Manifest | None:
    """OLM brings the bundle's ConfigMap, and writes it once more while the installation ends."""
    config = ObjectRef("v1", "ConfigMap", "oci-service-operator-servicemesh-config", NAMESPACE)
    client.patch(config, {"data": {"SIDECAR_IMAGE": "example.com/proxy:1"}})
    try:
        return client.create(pod, ApplyMode.SERVER_DRY_RUN)
    except ClusterRejectedError:
        return None


def _make_mesh_namespace(client: ClusterClient, namespace: str, labels: dict[str, str]) -> None:
    client.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    )
    wait_for(lambda: client.get(ObjectRef("v1", "ServiceAccount", "default", namespace)))
    service = {"selector": {"app": "osok-fleet-proof"}, "ports": [{"port": 80}]}
    metadata = {"name": "demo", "namespace": namespace}
    client.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    api_version = "servicemesh.oci.oracle.com/v1beta1"
    binding = {
        "apiVersion": api_version,
        "kind": "VirtualDeploymentBinding",
        "metadata": metadata,
        "spec": {"virtualDeployment": {"id": "ocid1.x"}, "target": {"service": {"ref": {"name": "demo"}}}},
    }
    client.create(binding)
    conditions = [{"type": kind, "status": "True"} for kind in ("Dependencies", "Active")]
    ref = ObjectRef(api_version, "VirtualDeploymentBinding", "demo", namespace)
    client.patch(ref, {"status": {"conditions": conditions}}, subresource="status")


def test_a_reinstall_of_the_operator_keeps_the_validators_reachable(installed: ClusterClient) -> None:
    """OLM 0.20 recreates the Service, so the operator moves to another address."""
    mesh = next(each.proof for each in _PROVEN if each.generate_name.startswith("mesh-") and each.proof)
    csv = ObjectRef(f"{_OLM}/v1alpha1", "ClusterServiceVersion", CSV, NAMESPACE)
    before = _status(installed, "ClusterServiceVersion", CSV, NAMESPACE)["lastTransitionTime"]

    installed.patch(csv, {"status": {"phase": "Pending", "reason": "NeedsReinstall"}}, subresource="status")

    wait_for(lambda: _succeeded_after(installed, before))
    wait_for(lambda: _answers(installed, mesh.allowed))


def _succeeded_after(client: ClusterClient, moment: str) -> bool:
    status = _status(client, "ClusterServiceVersion", CSV, NAMESPACE)
    return status.get("phase") == "Succeeded" and status["lastTransitionTime"] > moment


def _answers(client: ClusterClient, manifest: Manifest) -> bool:
    try:
        return _dry_run(client, manifest) == ""
    except ClusterUnavailableError:
        return False
