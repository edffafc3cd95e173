"""The cluster before anything is written: reachable, supported, and the one that was pinned."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import yaml

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import Account, open_cluster
from tasks.core.errors import (
    ClusterForbiddenError,
    ClusterUnavailableError,
    PrerequisiteError,
)
from tasks.core.identity import KUBE_SYSTEM, identity_of, require_pinned
from tasks.core.manifests import ObjectRef, sha256_hex
from tasks.core.permissions import (
    AccountNeeds,
    BootstrapUse,
    PermissionRequest,
    cluster_role,
    is_allowed,
    missing_permissions,
    missing_table,
)
from tasks.steps import step

OLDEST_KUBERNETES = (1, 25)
"""From there on every API that the manifests use is GA, PodSecurity admission (KEP-2579) included."""

_PARALLEL_REVIEWS = 8
_FLEET_ROLE = "osok-fleet"
_BOOTSTRAP_ROLE = "osok-fleet-bootstrap"


@dataclass(frozen=True)
class Target:
    """What a cluster says about itself.

    Attributes:
        uid: uid of the namespace kube-system, which identifies a cluster.
        version: gitVersion of the API server.
        user: Who we are there.
        user_uid: The uid of that user; empty when it has none.
    """

    name: str
    uid: str
    version: str
    user: str
    user_uid: str = ""


@step("check-target")
def check_target(cluster: KubernetesCluster, needs: AccountNeeds, until: datetime) -> Target:
    """Reach the cluster, make sure that it is the pinned one, and that our accounts may do all that follows.

    Raises:
        ClusterUnavailableError: It gave no usable answer before the deadline.
        ClusterIdentityError: Another cluster than the pinned one answers under the address.
        PrerequisiteError: Its version is too old, or permissions are missing; the message lists all of them
            with the role to grant.
    """
    client = open_cluster(cluster)
    version = wait_for(
        lambda: client.read_path("/version"), lambda seen: seen is not None, deadline_at(until)
    )
    if version is None:
        raise ClusterUnavailableError(
            "read the version", client.name, "an answer to GET /version", "HTTP 404"
        )
    git_version = str(version.get("gitVersion", ""))
    _refuse_old_version(client.name, git_version)
    uid = _identity(client, needs)
    require_pinned("use the cluster", client.name, cluster.expected_uid, uid)
    _require_permissions(client, needs.fleet, _FLEET_ROLE)
    if needs.bootstrap_use is BootstrapUse.ALWAYS or not _has_olm(client):
        _require_permissions(open_cluster(cluster, Account.BOOTSTRAP), needs.bootstrap, _BOOTSTRAP_ROLE)
    user = who_am_i(client)
    return Target(client.name, uid, git_version, user.name, user.uid)


@dataclass(frozen=True)
class ApiUser:
    """Who the API server takes us for."""

    name: str
    uid: str


def who_am_i(client: ClusterClient) -> ApiUser:
    """The user that the API server sees (SelfSubjectReview, GA since Kubernetes 1.28)."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    answer = client.create(review)
    user = (answer.get("status") or {}).get("userInfo") or {}
    return ApiUser(user.get("username", ""), user.get("uid", ""))


def _require_permissions(client: ClusterClient, requests: tuple[PermissionRequest, ...], role: str) -> None:
    with ThreadPoolExecutor(max_workers=_PARALLEL_REVIEWS) as pool:
        answers = pool.map(lambda request: is_allowed(client.create(request.review())), requests)
        allowed = dict(zip(requests, answers, strict=True))
    missing = [request for request in missing_permissions(requests, allowed) if not request.optional]
    if missing:
        user = who_am_i(client).name
        raise PrerequisiteError(
            "use the cluster",
            f"{client.name}: permissions of {user or 'the account'}",
            "every permission that the installation needs",
            f"{len(missing)} of {len(set(requests))} missing",
            "An administrator grants what the table lists with the ClusterRole under it.\n\n"
            f"{missing_table(missing)}\n{_grant(missing, role, user)}",
        )


def _grant(missing: list[PermissionRequest], role: str, user: str) -> str:
    """Role and binding to paste."""
    # A name of its own: under that of the shipped role, or of an earlier grant, it would replace its rules.
    name = f"{role}-{sha256_hex(repr(missing).encode())[:8]}"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    bound = yaml.safe_dump(binding, sort_keys=False, default_flow_style=None, width=110)
    return f"{cluster_role(missing, name)}---\n{bound}"


def _has_olm(client: ClusterClient) -> bool:
    ref = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "packageserver", "olm")
    return client.get(ref) is not None


def _identity(client: ClusterClient, needs: AccountNeeds) -> str:
    try:
        kube_system = client.get(KUBE_SYSTEM)
    except ClusterForbiddenError:
        # An account that may not even read namespaces lacks more: tell all of it at once.
        _require_permissions(client, needs.fleet, _FLEET_ROLE)
        raise
    return identity_of(client.name, kube_system)


def _refuse_old_version(name: str, version: str) -> None:
    # Vendors append what no version standard allows (v1.30.1-eks-db838b0), so only the two numbers are read.
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        raise PrerequisiteError("use the cluster", name, f"Kubernetes {oldest} or newer", version)
