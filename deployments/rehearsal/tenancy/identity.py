"""Identity: compartments, policies, groups, dynamic groups, memberships, regions, identity domains."""

from oci.identity import models as sdk
from oci.regions import REGIONS_SHORT_NAMES

from deployments.rehearsal.tenancy.answers import (
    Answer,
    Handler,
    Listing,
    RefusedError,
    Request,
    Route,
    not_found,
)
from deployments.rehearsal.tenancy.models import decode, encode
from deployments.rehearsal.tenancy.store import Store, Tenancy

_PACKAGE = "identity"
_BASE = "/20160918"


class IdentityService:
    """The operations of Identity that the product uses.

    Args:
        store: The tenancies.
        region: The region that this address speaks for; writes are taken in the home region only.
    """

    def __init__(self, store: Store, region: str) -> None:
        self._store = store
        self._region = region

    def routes(self) -> list[Route]:
        """All operations with their paths."""
        plain = {
            "policies": "Policy",
            "dynamicGroups": "DynamicGroup",
            "groups": "Group",
            "domains": "Domain",
        }
        return [
            Route("GET", f"{_BASE}/tenancies/{{id}}", self._get_tenancy),
            Route("GET", f"{_BASE}/tenancies/{{id}}/regionSubscriptions", self._list_regions),
            Route("GET", f"{_BASE}/compartments", self._list_compartments),
            Route("GET", f"{_BASE}/compartments/{{id}}", self._get_compartment),
            Route("GET", f"{_BASE}/userGroupMemberships", self._list_memberships),
            *(
                Route("GET", f"{_BASE}/{path}/{{id}}", self._getter(kind))
                for path, kind in {**plain, "users": "User"}.items()
            ),
            *(Route("GET", f"{_BASE}/{path}", self._lister(kind)) for path, kind in plain.items()),
            Route("POST", f"{_BASE}/policies", self._creator("Policy")),
            Route("POST", f"{_BASE}/dynamicGroups", self._creator("DynamicGroup")),
        ]

    def _get_tenancy(self, request: Request) -> Answer:
        tenancy = self._own_tenancy(request)
        key = _region_key(tenancy.home_region)
        model = sdk.Tenancy(id=tenancy.id, name=tenancy.name, home_region_key=key, description="")
        return Answer(encode(_PACKAGE, model))

    def _list_regions(self, request: Request) -> Listing:
        tenancy = self._own_tenancy(request)
        return Listing([encode(_PACKAGE, model) for model in tenancy.regions])

    def _get_compartment(self, request: Request) -> Answer:
        tenancy = self._store.tenancy_of(request)
        if request.path["id"] == tenancy.id:
            root = sdk.Compartment(
                id=tenancy.id, name=tenancy.name, lifecycle_state="ACTIVE", description="", is_accessible=True
            )
            return Answer(encode(_PACKAGE, root))
        entry = self._store.get(tenancy, "Compartment", request.path["id"])
        return Answer(encode(_PACKAGE, entry.model))

    def _list_compartments(self, request: Request) -> Listing:
        tenancy = self._store.tenancy_of(request)
        parent = request.required("compartmentId")
        everything = [entry.model for entry in self._store.all(tenancy, "Compartment")]
        if request.query.get("compartmentIdInSubtree") == "true":
            if parent != tenancy.id:
                raise RefusedError(400, "InvalidParameter", "a subtree is listed from the tenancy only")
            return Listing([encode(_PACKAGE, model) for model in everything])
        children = [model for model in everything if model.compartment_id == parent]
        return Listing([encode(_PACKAGE, model) for model in children])

    def _list_memberships(self, request: Request) -> Listing:
        tenancy = self._store.tenancy_of(request)
        user, group = request.query.get("userId"), request.query.get("groupId")
        if not user and not group:
            raise RefusedError(400, "MissingParameter", "userId or groupId is missing")
        models = [entry.model for entry in self._store.all(tenancy, "UserGroupMembership")]
        chosen = [
            model
            for model in models
            if (not user or model.user_id == user) and (not group or model.group_id == group)
        ]
        return Listing([encode(_PACKAGE, model) for model in chosen])

    def _getter(self, kind: str) -> Handler:
        def handle(request: Request) -> Answer:
            entry = self._store.get(self._store.tenancy_of(request), kind, request.path["id"])
            return Answer(encode(_PACKAGE, entry.model))

        return handle

    def _lister(self, kind: str) -> Handler:
        def handle(request: Request) -> Listing:
            tenancy = self._store.tenancy_of(request)
            parent = request.required("compartmentId")
            models = [entry.model for entry in self._store.all(tenancy, kind)]
            named = request.query.get("name")
            chosen = [
                model
                for model in models
                if model.compartment_id == parent and (not named or model.name == named)
            ]
            return Listing([encode(_PACKAGE, model) for model in chosen])

        return handle

    def _creator(self, kind: str) -> Handler:
        def handle(request: Request) -> Answer:
            tenancy = self._store.tenancy_of(request)
            if self._region != tenancy.home_region:
                message = f"Please go to your home region {tenancy.home_region} to execute this."
                raise RefusedError(403, "NotAllowed", message)
            return self._store.once(request, lambda: self._create(tenancy, kind, request))

        return handle

    def _create(self, tenancy: Tenancy, kind: str, request: Request) -> Answer:
        details = decode(_PACKAGE, f"Create{kind}Details", request.body)
        taken = [entry.model.name for entry in self._store.all(tenancy, kind)]
        if details.name in taken:
            raise RefusedError(409, f"{kind}AlreadyExists", f"{details.name} exists already")
        model = getattr(sdk, kind)(id=self._store.new_id(kind.lower()), lifecycle_state="ACTIVE")
        for attribute in details.swagger_types:
            setattr(model, attribute, getattr(details, attribute))
        model.time_created = self._store.clock()
        self._store.put(tenancy, kind, model)
        return Answer(encode(_PACKAGE, model))

    def _own_tenancy(self, request: Request) -> Tenancy:
        tenancy = self._store.tenancy_of(request)
        if request.path["id"] != tenancy.id:
            raise not_found()
        return tenancy


def _region_key(region: str) -> str:
    keys: dict[str, str] = {name: key for key, name in REGIONS_SHORT_NAMES.items()}
    return keys.get(region, region).upper()
