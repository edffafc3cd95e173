"""Container Engine: the OKE clusters of a tenancy, found by tag or name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.clients.tenancy.oke import private_endpoint, public_endpoint
from tasks.clients.tenancy.sdk import Untyped


@dataclass(frozen=True)
class OkeCluster:
    """An active cluster of OKE.

    Attributes:
        public_endpoint: `host:port`; empty where the API has no public address.
        private_endpoint: `host:port` inside its network; empty where there is none.
        tags: Its free-form tags.
    """

    id: str
    name: str
    compartment_id: str
    region: str
    kubernetes_version: str
    public_endpoint: str
    private_endpoint: str
    tags: dict[str, str] = field(default_factory=dict)


def list_clusters(calls: TenancyCalls, compartment_ids: Iterable[str]) -> Iterator[OkeCluster]:
    """The active clusters of some compartments; those that may not be listed count as empty."""
    for compartment_id in compartment_ids:
        try:
            models = list(
                calls.pages(Service.CLUSTERS, "list_clusters", compartment_id, lifecycle_state=["ACTIVE"])
            )
        except TenancyNotFoundError:
            continue
        yield from (_cluster(model, calls.address.region) for model in models)


def _cluster(model: Untyped, region: str) -> OkeCluster:
    return OkeCluster(
        id=model.id,
        name=model.name,
        compartment_id=model.compartment_id,
        region=region,
        kubernetes_version=model.kubernetes_version or "",
        public_endpoint=public_endpoint(model),
        private_endpoint=private_endpoint(model),
        tags=dict(model.freeform_tags or {}),
    )
