"""Container Engine (OKE): clusters, whose addresses are those of the rehearsal's control planes."""

import base64
from dataclasses import dataclass

import yaml

from deployments.rehearsal.tenancy.answers import Answer, Listing, RefusedError, Request, Route, not_found
from deployments.rehearsal.tenancy.models import Model, decode, encode, summary
from deployments.rehearsal.tenancy.store import Store

_PACKAGE = "container_engine"
_BASE = "/20180222"


@dataclass(frozen=True)
class ClusterAuthority:
    """What Container Engine knows beyond the model: who signed the API server's certificate."""

    certificate_pem: bytes


class ClusterService:
    """The reading operations of Container Engine.

    Args:
        store: The tenancies.
        region: The region that this address speaks for.
    """

    def __init__(self, store: Store, region: str) -> None:
        self._store = store
        self._region = region

    def routes(self) -> list[Route]:
        """All operations with their paths."""
        return [
            Route("GET", f"{_BASE}/clusters", self._list),
            Route("GET", f"{_BASE}/clusters/{{id}}", self._get),
            Route("POST", f"{_BASE}/clusters/{{id}}/kubeconfig/content", self._create_kubeconfig),
        ]

    def _list(self, request: Request) -> Listing:
        compartment = request.required("compartmentId")
        entries = self._store.all(self._store.tenancy_of(request), "Cluster", self._region)
        name, state = request.query.get("name"), request.query.get("lifecycleState")
        models = [
            entry.model
            for entry in entries
            if entry.model.compartment_id == compartment
            and (not name or entry.model.name == name)
            and (not state or entry.model.lifecycle_state == state)
        ]
        return Listing([encode(_PACKAGE, summary(_PACKAGE, "ClusterSummary", model)) for model in models])

    def _get(self, request: Request) -> Answer:
        entry = self._store.get(self._store.tenancy_of(request), "Cluster", request.path["id"])
        return Answer(encode(_PACKAGE, entry.model))

    def _create_kubeconfig(self, request: Request) -> Answer:
        entry = self._store.get(self._store.tenancy_of(request), "Cluster", request.path["id"])
        details = decode(_PACKAGE, "CreateClusterKubeconfigContentDetails", request.body)
        if not isinstance(entry.private, ClusterAuthority):
            raise not_found()
        address = _address(entry.model, details.endpoint)
        content = _kubeconfig(entry.model, address, entry.private.certificate_pem, self._region)
        return Answer(content.encode(), headers={"Content-Type": "application/x-yaml"})


def _address(model: Model, endpoint: str) -> str:
    found = {
        "PUBLIC_ENDPOINT": model.endpoints.public_endpoint,
        "PRIVATE_ENDPOINT": model.endpoints.private_endpoint,
        "VCN_HOSTNAME": model.endpoints.vcn_hostname_endpoint,
        "LEGACY_KUBERNETES": model.endpoints.kubernetes,
    }.get(endpoint or "LEGACY_KUBERNETES")
    if not found:
        raise RefusedError(400, "InvalidParameter", f"the cluster has no endpoint of the kind {endpoint}")
    return str(found)


def _kubeconfig(model: Model, address: str, authority: bytes, region: str) -> str:
    """As OKE writes it: with a user that starts the `oci` command line."""
    identifier = model.id.rpartition(".")[2][-11:]
    cluster, user, context = f"cluster-{identifier}", f"user-{identifier}", f"context-{identifier}"
    token_command = ["ce", "cluster", "generate-token", "--cluster-id", model.id, "--region", region]
    exec_plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "oci",
        "args": token_command,
    }
    data = base64.b64encode(authority).decode()
    server = {"server": f"https://{address}", "certificate-authority-data": data}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": server}],
        "users": [{"name": user, "user": {"exec": exec_plugin}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
    }
    return yaml.safe_dump(document)
