"""Container Engine: the OKE clusters of a tenancy's compartments, whatever state they are in."""

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.oke import private_endpoint, public_endpoint
from tasks.clients.tenancy.sdk import Untyped
from tasks.core.fleets import Branch, FoundCluster


def read_clusters(calls: TenancyCalls, branch: Branch) -> list[FoundCluster]:
    """All clusters of a compartment in the region of `calls`.

    Raises:
        TenancyError: They cannot be listed.
    """
    models = calls.pages(Service.CLUSTERS, "list_clusters", branch.id)
    return [_cluster(model, calls, branch) for model in models]


def _cluster(model: Untyped, calls: TenancyCalls, branch: Branch) -> FoundCluster:
    return FoundCluster(
        id=model.id,
        name=model.name,
        state=model.lifecycle_state,
        tenancy=calls.name,
        region=calls.address.region,
        compartment=branch.path,
        kubernetes_version=model.kubernetes_version or "",
        public_endpoint=public_endpoint(model),
        private_endpoint=private_endpoint(model),
        tags=dict(model.freeform_tags or {}),
        defined_tags={key: dict(value) for key, value in (model.defined_tags or {}).items()},
    )
