"""What happens to clusters by other hands, for rehearsals, pictures and tests of verify-fleet."""

import json
from pathlib import Path

from kubernetes import client as sdk
from kubernetes import config

from tasks.core.manifests import ObjectRef

ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
"""A role of OLM, in every release."""
VERBS = "/rules/0/verbs"


def take_verbs_away(kubeconfig: Path, field_manager: str) -> None:
    """Take all verbs but `get` from the role, under the name that somebody has in managedFields."""
    patch = [{"op": "replace", "path": VERBS, "value": ["get"]}]
    with config.new_client_from_config(str(kubeconfig)) as api:
        sdk.RbacAuthorizationV1Api(api).patch_cluster_role(ROLE.name, patch, field_manager=field_manager)


def dark_block_fields(server: str = "https://127.0.0.1:1") -> dict[str, object]:
    """The fields of the block of a cluster whose API server is not there, or not one."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dark",
        "contexts": [{"name": "dark", "context": {"cluster": "dark", "user": "dark"}}],
        "clusters": [{"name": "dark", "cluster": {"server": server}}],
        "users": [{"name": "dark", "user": {"token": "none"}}],
    }
    return {"source": "CONTENT", "context": "dark", "kubeconfig": json.dumps(kubeconfig)}
