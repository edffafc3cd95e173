"""The accounts that production uses, made on a rehearsal's cluster from the RBAC files that are shipped."""

from datetime import timedelta
from pathlib import Path

import yaml

from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.converge import converge
from tasks.core.manifests import ObjectRef, read_manifests

RBAC = Path(__file__).parents[1] / "kubernetes" / "rbac"
FLEET_CONTEXT = "osok-fleet"
BOOTSTRAP_CONTEXT = "osok-fleet-bootstrap"
_NAMESPACE = "osok-fleet"
_LIFETIME = timedelta(hours=24)


def make_accounts(control_plane: ControlPlane) -> Path:
    """Apply the shipped roles and write a kubeconfig with a context for each account.

    Returns:
        The kubeconfig's path, in the control plane's folder and readable by us only.
    """
    client = control_plane.client()
    for name in ("fleet", "bootstrap", "approver"):
        path = RBAC / f"{name}.yaml"
        converge(client, read_manifests(path.read_text(), path.name))
    tokens = {context: _token(client, context) for context in (FLEET_CONTEXT, BOOTSTRAP_CONTEXT)}
    kubeconfig = control_plane.folder / "fleet.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(control_plane, tokens)))
    return kubeconfig


def _token(client: ClusterClient, account: str) -> str:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": int(_LIFETIME.total_seconds())},
    }
    ref = ObjectRef("v1", "ServiceAccount", account, _NAMESPACE)
    token: str = client.create_subresource(ref, "token", request)["status"]["token"]
    return token


def _kubeconfig(control_plane: ControlPlane, tokens: dict[str, str]) -> dict[str, object]:
    cluster = {"server": control_plane.server, "certificate-authority": str(control_plane.ca_file)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rehearsal", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
        "contexts": [{"name": name, "context": {"cluster": "rehearsal", "user": name}} for name in tokens],
    }
