"""R5, R6: the images of a cluster, asked for at a real registry with a Secret of a real control plane."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.releases import ReleaseServer, RepositoryName
from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import ObjectRef
from tasks.core.prerequisites.findings import Finding, Status
from tasks.core.prerequisites.settings import ClusterNeeds, ImageNeeds
from tasks.prerequisites.images import ImageQuestions, check_images
from tests.support.bundle_files import bundle_files
from tests.support.release_server import NO_PAUSES

PULL_SECRET = "registry-login"


@pytest.fixture(scope="module")
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer(bundle=bundle_files()) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget_requests(server: ReleaseServer) -> None:
    server.seen.clear()


@pytest.fixture
def nowhere() -> KubernetesCluster:
    """A cluster that nobody answers for: the images need none where the nodes pull anonymously."""
    server = "https://127.0.0.1:1"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": "rehearsal", "context": {"cluster": "c", "user": "u"}}],
    }
    block = {"source": "CONTENT", "kubeconfig": json.dumps(kubeconfig), "context": "rehearsal"}
    return KubernetesCluster.model_validate(block)


@pytest.fixture
def client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> KubernetesCluster:
    return KubernetesCluster(kubeconfig_file=control_plane.kubeconfig, context="rehearsal")


@pytest.fixture
def namespace(client: ClusterClient) -> Iterator[str]:
    name = f"images-{uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete(ObjectRef("v1", "Namespace", name))


def questions() -> ImageQuestions:
    return ImageQuestions(datetime.now(UTC) + timedelta(minutes=5), NO_PAUSES)


def by_digest(server: ReleaseServer, repository: RepositoryName) -> str:
    return f"{server.registry}/{repository.value}@{server.image_digest(repository)}"


def needs(*references: str, namespace: str = "osok", pull_secret: str = "") -> ClusterNeeds:
    images = ImageNeeds(references=list(references), pull_secret=pull_secret)
    return ClusterNeeds(namespace=namespace, images=images)


def create_login(client: ClusterClient, namespace: str, registry: str, pair: str) -> None:
    auths = {registry: {"auth": base64.b64encode(pair.encode()).decode()}}
    content = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": PULL_SECRET, "namespace": namespace},
            "data": {".dockerconfigjson": content},
        }
    )


def statuses(findings: tuple[Finding, ...]) -> list[Status]:
    return [finding.status for finding in findings]


def test_no_images_are_said_to_be_unchecked(nowhere: KubernetesCluster) -> None:
    (finding,) = check_images.fn(nowhere, needs(), questions())

    assert (finding.status, finding.reason[:11]) == (Status.WARN, "not checked")


def test_public_images_need_no_login_and_a_tag_is_shown_with_its_digest(
    server: ReleaseServer, nowhere: KubernetesCluster
) -> None:
    pinned, tagged = by_digest(server, RepositoryName.PUBLIC), server.image()

    findings = check_images.fn(nowhere, needs(pinned, tagged), questions())

    assert statuses(findings) == [Status.PASS, Status.WARN]
    assert findings[1].fix == f"Use {tagged}@{server.image_digest()}."


@pytest.mark.parametrize(
    ("image", "status", "words"),
    [
        ((RepositoryName.PRIVATE, "1.1.9"), Status.FAIL, "HTTP 401 with no credentials"),
        ((RepositoryName.PUBLIC, "9.9.9"), Status.FAIL, "HTTP 404 with no credentials"),
        ((RepositoryName.TOKEN_ELSEWHERE, "1.1.9"), Status.UNKNOWN, "nothing was sent to it"),
    ],
)
def test_what_a_registry_refuses_is_told_with_its_reason(
    server: ReleaseServer,
    nowhere: KubernetesCluster,
    image: tuple[RepositoryName, str],
    status: Status,
    words: str,
) -> None:
    (finding,) = check_images.fn(nowhere, needs(server.image(*image)), questions())

    assert finding.status is status
    assert words in finding.reason


def test_bytes_with_another_digest_fail(server: ReleaseServer, nowhere: KubernetesCluster) -> None:
    tampered = by_digest(server, RepositoryName.TAMPERED_MANIFEST)

    (finding,) = check_images.fn(nowhere, needs(tampered), questions())

    assert finding.status is Status.FAIL
    assert server.image_digest(RepositoryName.TAMPERED_MANIFEST) in finding.reason
    assert finding.fix.startswith("Do not use what")


def test_a_registry_out_of_reach_is_unknown_and_the_others_are_answered(
    server: ReleaseServer, nowhere: KubernetesCluster
) -> None:
    away = "127.0.0.1:1/acme/bundle:1.1.9"

    findings = check_images.fn(nowhere, needs(away, by_digest(server, RepositoryName.PUBLIC)), questions())

    assert statuses(findings) == [Status.UNKNOWN, Status.PASS]
    assert "crictl pull 127.0.0.1:1/acme/bundle:1.1.9" in findings[0].fix


def test_a_run_that_is_out_of_time_asks_nobody(server: ReleaseServer, nowhere: KubernetesCluster) -> None:
    late = ImageQuestions(datetime.now(UTC) - timedelta(seconds=1))

    findings = check_images.fn(nowhere, needs(server.image()), late)

    assert statuses(findings) == [Status.UNKNOWN]
    assert server.seen == []


def test_clusters_share_the_answers_of_a_run(server: ReleaseServer, nowhere: KubernetesCluster) -> None:
    wanted, asked = needs(server.image(), server.image()), questions()

    first = check_images.fn(nowhere, wanted, asked)
    requests = len(server.seen)
    second = check_images.fn(nowhere, wanted, asked)

    assert statuses(first) == [Status.WARN]
    assert second == first
    assert len(server.seen) == requests


def test_a_secret_that_cannot_be_read_leaves_the_images_unasked(
    server: ReleaseServer, nowhere: KubernetesCluster
) -> None:
    (finding,) = check_images.fn(nowhere, needs(server.image(), pull_secret=PULL_SECRET), questions())

    assert (finding.check, finding.status) == ("image pull Secret", Status.UNKNOWN)
    assert server.seen == []


@pytest.mark.cluster
def test_private_images_are_asked_for_with_the_login_of_the_clusters_secret(
    server: ReleaseServer, cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    login = server.login
    create_login(client, namespace, server.registry, f"{login.username}:{login.password}")
    references = [by_digest(server, name) for name in (RepositoryName.PRIVATE, RepositoryName.BASIC)]
    wanted = needs(*references, namespace=namespace, pull_secret=PULL_SECRET)

    findings = check_images.fn(cluster, wanted, questions())

    assert statuses(findings) == [Status.PASS, Status.PASS, Status.PASS]
    assert "with the credentials of user 'rehearsal'" in findings[1].evidence
    assert login.password not in f"{findings}"


@pytest.mark.cluster
def test_a_wrong_password_fails_and_is_not_shown(
    server: ReleaseServer, cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    create_login(client, namespace, server.registry, "rehearsal:hunter2")
    private = by_digest(server, RepositoryName.PRIVATE)

    findings = check_images.fn(
        cluster, needs(private, namespace=namespace, pull_secret=PULL_SECRET), questions()
    )

    assert statuses(findings) == [Status.PASS, Status.FAIL]
    assert "HTTP 401 with the credentials of user 'rehearsal'" in findings[1].reason
    assert "hunter2" not in f"{findings}"


@pytest.mark.cluster
def test_a_login_for_another_registry_is_not_sent(
    server: ReleaseServer, cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    create_login(client, namespace, "fra.ocir.io", f"{server.login.username}:{server.login.password}")
    private = by_digest(server, RepositoryName.PRIVATE)

    findings = check_images.fn(
        cluster, needs(private, namespace=namespace, pull_secret=PULL_SECRET), questions()
    )

    assert statuses(findings) == [Status.PASS, Status.FAIL]
    assert {request.authorization for request in server.seen} == {""}


@pytest.mark.cluster
def test_an_absent_and_an_unusable_secret_are_named(
    server: ReleaseServer, cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    wanted = needs(by_digest(server, RepositoryName.PUBLIC), namespace=namespace, pull_secret=PULL_SECRET)

    absent = check_images.fn(cluster, wanted, questions())
    metadata = {"name": PULL_SECRET, "namespace": namespace}
    client.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    unusable = check_images.fn(cluster, wanted, questions())

    assert statuses(absent) == [Status.WARN, Status.PASS]
    assert statuses(unusable) == [Status.FAIL]
    assert "found Opaque" in unusable[0].reason
