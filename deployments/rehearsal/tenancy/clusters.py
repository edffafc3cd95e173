"""Container Engine (OKE): clusters, whose addresses are those of the rehearsal's control planes."""

from deployments.rehearsal.tenancy.answers import Answer, Listing, Request, Route
from deployments.rehearsal.tenancy.models import encode, summary
from deployments.rehearsal.tenancy.store import Store

_PACKAGE = "container_engine"
_BASE = "/20180222"


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
