"""The cluster before anything is written: reachable, the pinned one, and with every permission (R1)."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from deployments.rehearsal.accounts import BOOTSTRAP_CONTEXT, FLEET_CONTEXT, make_accounts
from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ClusterClient
from tasks.connections import load_block
from tasks.core.errors import ClusterForbiddenError, ClusterIdentityError, PrerequisiteError, StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.permissions import AccountNeeds, PermissionStep, required_permissions
from tasks.core.profiles import built_in_profile
from tasks.target import check_target
from tests.support.small_installs import patiently, shortly, tasks_outside_flows

pytestmark = pytest.mark.cluster

NAMESPACE = "oci-service-operator-system"
_numbers = itertools.count(1)


def _needs() -> AccountNeeds:
    profile = built_in_profile()
    asked = {step: required_permissions(step, profile, NAMESPACE) for step in PermissionStep}
    fleet = (*asked[PermissionStep.OPERATOR], *asked[PermissionStep.VERIFICATION])
    return AccountNeeds(fleet, asked[PermissionStep.BOOTSTRAP])


NEEDS = _needs()


@pytest.fixture(scope="module")
def accounts(control_plane: ControlPlane, prefect_server: SyncPrefectClient) -> Iterator[Path]:
    """A kubeconfig with the shipped accounts; tasks run outside of flows."""
    with tasks_outside_flows():
        yield make_accounts(control_plane)


@pytest.fixture
def client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


def saved(**fields: object) -> KubernetesCluster:
    name = f"target-{next(_numbers)}"
    KubernetesCluster.model_validate(fields).save(name, overwrite=True)
    return load_block(KubernetesCluster, name)


def shipped(accounts: Path, **fields: object) -> KubernetesCluster:
    """The block of a cluster that is reached with the accounts of deployments/."""
    return saved(
        kubeconfig_file=str(accounts), context=FLEET_CONTEXT, bootstrap_context=BOOTSTRAP_CONTEXT, **fields
    )


@pytest.fixture
def with_token(control_plane: ControlPlane, accounts: Path) -> Callable[[str], KubernetesCluster]:
    """Makes the block of the same cluster, reached with a token."""

    def make(token: str) -> KubernetesCluster:
        config = yaml.safe_load(accounts.read_text())
        config["users"] = [{"name": "somebody", "user": {"token": token}}]
        config["contexts"] = [{"name": "x", "context": {"cluster": "rehearsal", "user": "somebody"}}]
        content = SecretStr(yaml.safe_dump(config))
        return saved(source=KubeconfigSource.CONTENT, kubeconfig=content, context="x")

    return make


def new_token(client: ClusterClient, name: str) -> str:
    """The token of a new account that may do nothing."""
    account = ObjectRef("v1", "ServiceAccount", name, "default")
    metadata = {"name": name, "namespace": "default"}
    client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = client.create_subresource(account, "token", request)["status"]["token"]
    return token


def role_to_paste(text: str) -> list[Manifest]:
    """The manifests at the end of an error."""
    return list(yaml.safe_load_all(text[text.index("apiVersion: rbac") :]))


def test_the_shipped_accounts_may_do_everything_that_follows(accounts: Path, client: ClusterClient) -> None:
    target = check_target(shipped(accounts), NEEDS, patiently())

    kube_system = client.get(ObjectRef("v1", "Namespace", "kube-system"))
    assert kube_system is not None
    assert target.uid == kube_system["metadata"]["uid"]
    assert target.user == "system:serviceaccount:osok-fleet:osok-fleet"
    assert target.version.startswith("v1.")


def test_a_cluster_that_is_the_pinned_one_is_taken(accounts: Path) -> None:
    uid = check_target(shipped(accounts), NEEDS, patiently()).uid

    assert check_target(shipped(accounts, expected_uid=uid), NEEDS, patiently()).uid == uid


def test_another_cluster_behind_the_address_is_refused_with_both_identities(accounts: Path) -> None:
    cluster = shipped(accounts, expected_uid="00000000-0000-0000-0000-000000000000")

    with pytest.raises(ClusterIdentityError) as caught:
        check_target(cluster, NEEDS, patiently())

    assert caught.value.expected == "00000000-0000-0000-0000-000000000000"
    assert caught.value.found == check_target(shipped(accounts), NEEDS, patiently()).uid


def test_an_account_without_permissions_gets_tables_and_roles_that_grant_them(
    accounts: Path, client: ClusterClient, with_token: Callable[[str], KubernetesCluster]
) -> None:
    """R1: what an administrator pastes is enough, and replaces nothing that is granted to others."""
    cluster = with_token(new_token(client, "newcomer"))
    told = []
    for _account in ("fleet", "bootstrap"):
        with pytest.raises(PrerequisiteError) as caught:
            check_target(cluster, NEEDS, patiently())
        told.append(str(caught.value))
        for manifest in role_to_paste(told[-1]):
            client.create(manifest)

    assert check_target(cluster, NEEDS, patiently()).user == "system:serviceaccount:default:newcomer"
    assert check_target(shipped(accounts), NEEDS, patiently()).user.endswith(":osok-fleet:osok-fleet")
    assert "permissions of system:serviceaccount:default:newcomer" in told[0]
    assert "| subscriptions | operators.coreos.com | oci-service-operator-system | create, get" in told[0]
    assert "| clusterroles | rbac.authorization.k8s.io | cluster | bind, create, escalate" in told[1]


def test_one_missing_permission_is_the_only_row(
    client: ClusterClient, with_token: Callable[[str], KubernetesCluster]
) -> None:
    """R1."""
    cluster = with_token(new_token(client, "almost"))
    rules = client.get(ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "osok-fleet"))
    assert rules is not None
    without_plans = [rule for rule in rules["rules"] if rule.get("resources") != ["installplans"]]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "almost"}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "almost"}
    subject = {"kind": "ServiceAccount", "name": "almost", "namespace": "default"}
    client.create({**role, "kind": "ClusterRole", "rules": without_plans})
    client.create({**role, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]})

    with pytest.raises(PrerequisiteError) as caught:
        check_target(cluster, NEEDS, patiently())

    rows = [line for line in str(caught.value).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[::3] for row in rows[2:]] == [["| installplans", "get, list, patch"]]


def test_credentials_that_are_not_accepted_are_told_without_them(
    with_token: Callable[[str], KubernetesCluster],
) -> None:
    with pytest.raises(ClusterForbiddenError) as caught:
        check_target(with_token("not-a-token-of-theirs"), NEEDS, patiently())

    assert "HTTP 401" in caught.value.found
    assert "Check the credentials of the cluster's block" in caught.value.next_step
    assert "not-a-token" not in str(caught.value)


def test_a_cluster_that_does_not_answer_is_told_with_its_address_at_the_deadline(accounts: Path) -> None:
    config = yaml.safe_load(accounts.read_text())
    # The discard port: nobody listens.
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    content = SecretStr(yaml.safe_dump(config))
    cluster = saved(source=KubeconfigSource.CONTENT, kubeconfig=content, context=FLEET_CONTEXT)

    with pytest.raises(StalledError) as caught:
        check_target(cluster, NEEDS, shortly())

    assert caught.value.expected == "an answer from https://127.0.0.1:9"
    assert "Connection refused" in caught.value.found
    assert caught.value.subject.startswith("target-")
