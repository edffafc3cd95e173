"""Production manifests: what a real API server, a real kustomize and a real Prefect server say of them.

The control plane has no kubelet here, so everything that would start a pod is a server-side dry run.
"""

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values

from deployments.rehearsal.control_plane import CONTEXT, ControlPlane
from deployments.rehearsal.prefect_services import WORK_POOL
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.core.errors import ClusterForbiddenError
from tasks.core.manifests import Manifest, ObjectRef

pytestmark = pytest.mark.cluster

FOLDER = Path(__file__).parents[2] / "deployments" / "kubernetes"
TEMPLATE: dict[str, Any] = json.loads((FOLDER / "base-job-template.json").read_text())
NAMESPACE = "osok-fleet-prefect"
IMAGE = "registry.example.com/osok-fleet:1.0.0"
WITHOUT_PODS = {"ServiceAccount", "Role", "RoleBinding"}
WORKER = f"system:serviceaccount:{NAMESPACE}:prefect-worker"
RUN = f"system:serviceaccount:{NAMESPACE}:osok-fleet-run"


@pytest.fixture(scope="module")
def rendered(kubectl: Path) -> str:
    """What `kubectl apply -k` of the example would send."""
    command = [str(kubectl), "kustomize", str(FOLDER / "example")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own kubectl


@pytest.fixture(scope="module")
def objects(rendered: str) -> list[Manifest]:
    return list(yaml.safe_load_all(rendered))


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, objects: list[Manifest]) -> Iterator[ClusterClient]:
    """A cluster with the namespace and the accounts; nothing in it starts a pod."""
    client = control_plane.client()
    (namespace,) = (each for each in objects if each["kind"] == "Namespace")
    client.create(namespace)
    for each in objects:
        if each["kind"] in WITHOUT_PODS:
            client.create(each)
    yield client
    client.delete(ObjectRef("v1", "Namespace", NAMESPACE))


def pods_of(objects: list[Manifest]) -> dict[str, Manifest]:
    """Every pod that would be started, by name: of the workloads, and of a flow run."""
    workloads = [each for each in objects if "template" in each.get("spec", {})]
    specs = {each["metadata"]["name"]: each["spec"] for each in workloads}
    return {name: _pod(name, spec) for name, spec in {**specs, "flow-run": job()["spec"]}.items()}


def _pod(name: str, spec: Manifest) -> Manifest:
    """As the controllers make it; that of a StatefulSet adds a volume for each claim."""
    template = spec["template"]
    claims = [each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", [])]
    claimed = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    metadata = {**template["metadata"], "name": name, "namespace": NAMESPACE}
    pod_spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], *claimed]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}


def job() -> Manifest:
    """The Job of a flow run, with the template's defaults."""
    variables = TEMPLATE["variables"]["properties"]
    values = {name: each["default"] for name, each in variables.items() if "default" in each}
    values |= {"name": "blue-cat", "image": IMAGE, "command": ["prefect", "flow-run", "execute"]}
    values["env"] = [{"name": name, "value": value} for name, value in values["env"].items()]
    made: Manifest = apply_values(TEMPLATE["job_configuration"]["job_manifest"], values)
    labels = made["spec"]["template"]["metadata"]["labels"]
    # The worker's own labels go before those of the template (seen with prefect-kubernetes 0.8.0).
    labels |= {"app.kubernetes.io/name": "install-fleet", "app.kubernetes.io/part-of": "prefect"}
    return made


def containers_of(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def may(cluster: ClusterClient, user: str, verb: str, resource: str, namespace: str) -> bool:
    group, _, name = resource.rpartition("/")
    kind, _, subresource = name.partition(":")
    attributes = {
        "verb": verb,
        "group": group,
        "resource": kind,
        "subresource": subresource,
        "namespace": namespace,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer: bool = cluster.create(review)["status"]["allowed"]
    return answer


def test_an_api_server_takes_every_object_without_a_warning(
    cluster: ClusterClient, control_plane: ControlPlane, kubectl: Path, rendered: str
) -> None:
    """Strict: a field that does not exist is an error; a pod that is not restricted is a warning."""
    apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    reach = ["--kubeconfig", str(control_plane.kubeconfig), "--context", CONTEXT]

    said = subprocess.run(  # noqa: S603 - our own kubectl
        [str(kubectl), *reach, *apply, "--force-conflicts"],
        input=rendered,
        check=False,
        capture_output=True,
        text=True,
    )

    assert said.stderr == ""
    assert len(said.stdout.splitlines()) == len(list(yaml.safe_load_all(rendered)))


@pytest.mark.parametrize("name", ["prefect-server", "prefect-worker", "postgresql", "flow-run"])
def test_the_restricted_namespace_takes_the_pod(
    cluster: ClusterClient, objects: list[Manifest], name: str
) -> None:
    made = cluster.create(pods_of(objects)[name], ApplyMode.SERVER_DRY_RUN)

    assert made["metadata"]["name"] == name


def test_the_namespace_refuses_a_pod_that_is_not_restricted(
    cluster: ClusterClient, objects: list[Manifest]
) -> None:
    pod = copy.deepcopy(pods_of(objects)["flow-run"])
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]

    with pytest.raises(ClusterForbiddenError, match="restricted"):
        cluster.create(pod, ApplyMode.SERVER_DRY_RUN)


def test_the_api_server_takes_the_job_of_a_flow_run(cluster: ClusterClient) -> None:
    made = cluster.create(job(), ApplyMode.SERVER_DRY_RUN)

    assert made["metadata"]["name"].startswith("blue-cat-")
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == "osok-fleet-run"


def test_only_the_chosen_images_are_pulled(objects: list[Manifest]) -> None:
    images = {container["image"] for pod in pods_of(objects).values() for container in containers_of(pod)}

    assert images == {IMAGE, "docker.io/library/postgres:17.6"}


def test_flow_runs_use_the_image_of_the_workers(objects: list[Manifest]) -> None:
    (naming,) = pods_of(objects)["prefect-worker"]["spec"]["initContainers"]

    assert {"name": "OSOK_FLEET_IMAGE", "value": IMAGE} in naming["env"]
    assert naming["args"][:4] == ["prefect", "variable", "set", "osok_fleet_image"]
    image = TEMPLATE["variables"]["properties"]["image"]
    assert image["default"] == "{{ prefect.variables.osok_fleet_image }}"


def test_passwords_come_from_the_two_secrets_that_a_person_makes(objects: list[Manifest]) -> None:
    entries = [
        entry
        for pod in pods_of(objects).values()
        for container in containers_of(pod)
        for entry in container.get("env", [])
    ]
    named = {(ref["name"], ref["key"]) for entry in entries if (ref := _secret_of(entry))}

    assert [each for each in objects if each["kind"] == "Secret"] == []
    assert named == {
        ("prefect-database", "connection-string"),
        ("prefect-database", "password"),
        ("prefect-api", "auth-string"),
    }
    assert [entry["name"] for entry in entries if "PASSWORD" in entry["name"] and "value" in entry] == []


def _secret_of(entry: Manifest) -> dict[str, str]:
    found: dict[str, str] = entry.get("valueFrom", {}).get("secretKeyRef", {})
    return found


def test_a_flow_run_has_no_secret_and_no_token_mounted() -> None:
    spec = job()["spec"]["template"]["spec"]

    assert [sorted(volume) for volume in spec["volumes"]] == [
        ["name", "persistentVolumeClaim"],
        ["emptyDir", "name"],
        ["emptyDir", "name"],
    ]
    assert spec["automountServiceAccountToken"] is False


def test_every_container_says_what_it_needs(objects: list[Manifest]) -> None:
    containers = [container for pod in pods_of(objects).values() for container in containers_of(pod)]

    needs = [each for each in containers if {"cpu", "memory"} <= each["resources"]["requests"].keys()]
    limited = [each for each in containers if "memory" in each["resources"]["limits"]]
    assert len(needs) == len(limited) == len(containers) == 5


def test_every_network_policy_is_about_pods_that_exist(objects: list[Manifest]) -> None:
    labels = [pod["metadata"]["labels"].items() for pod in pods_of(objects).values()]
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]

    sources = [
        source for each in policies for rule in each["spec"].get("ingress", []) for source in rule["from"]
    ]
    named = [each["spec"]["podSelector"] for each in policies]
    named += [each["podSelector"] for each in sources if "podSelector" in each]
    selectors = [each.get("matchLabels", {}) for each in named]
    assert (len(policies), len(selectors)) == (6, 9)
    assert [one for one in selectors if not any(one.items() <= each for each in labels)] == []


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("create", "batch/jobs"),
        ("watch", "batch/jobs"),
        ("delete", "batch/jobs"),
        ("watch", "pods"),
        ("get", "pods:log"),
        ("create", "events"),
    ],
)
def test_the_worker_may_start_and_watch_jobs_in_its_namespace_only(
    cluster: ClusterClient, verb: str, resource: str
) -> None:
    assert may(cluster, WORKER, verb, resource, NAMESPACE) is True
    assert may(cluster, WORKER, verb, resource, "default") is False


@pytest.mark.parametrize(
    ("user", "verb", "resource"),
    [
        (WORKER, "get", "secrets"),
        (WORKER, "create", "pods"),
        (WORKER, "create", "pods:exec"),
        (WORKER, "create", "serviceaccounts:token"),
        (RUN, "get", "secrets"),
        (RUN, "get", "pods"),
    ],
)
def test_nobody_may_read_secrets_or_enter_pods(
    cluster: ClusterClient, user: str, verb: str, resource: str
) -> None:
    assert may(cluster, user, verb, resource, NAMESPACE) is False


def test_a_prefect_server_takes_the_base_job_template(prefect_server: SyncPrefectClient) -> None:
    name = "osok-fleet-kubernetes-test"
    pool = WorkPoolCreate(name=name, type="kubernetes", base_job_template=TEMPLATE)

    made = prefect_server.create_work_pool(pool)

    prefect_server.delete_work_pool(name)
    assert (made.type, made.base_job_template) == ("kubernetes", TEMPLATE)


def test_the_worker_polls_the_pool_that_the_deployments_name(objects: list[Manifest]) -> None:
    arguments = pods_of(objects)["prefect-worker"]["spec"]["containers"][0]["args"]

    assert f"--pool={WORK_POOL}" in arguments
    assert "--base-job-template=/opt/osok-fleet/deployments/kubernetes/base-job-template.json" in arguments


def test_workers_and_flow_runs_ask_again_while_the_servers_database_is_gone(objects: list[Manifest]) -> None:
    settings = next(
        each["data"] for each in objects if each["metadata"]["name"].startswith("prefect-worker-")
    )

    for environment in (settings, TEMPLATE["variables"]["properties"]["env"]["default"]):
        assert environment["PREFECT_CLIENT_RETRY_EXTRA_CODES"] == "500"


def test_the_template_has_the_variables_that_it_uses() -> None:
    used = set(_placeholders(json.dumps(TEMPLATE["job_configuration"])))

    assert used == TEMPLATE["variables"]["properties"].keys()


def test_every_variable_says_what_it_is_for() -> None:
    variables = TEMPLATE["variables"]["properties"]

    assert [name for name, each in variables.items() if not each.get("description")] == []


def _placeholders(text: str) -> list[str]:
    return [part.split("}}")[0].strip() for part in text.split("{{")[1:]]
