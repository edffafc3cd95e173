"""The state of the rehearsal's tenancies: the SDK's models by OCID, with states that change by themselves."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.rehearsal.tenancy.answers import Answer, RefusedError, Request, not_found
from deployments.rehearsal.tenancy.models import Model
from deployments.rehearsal.tenancy.sessions import SessionTokens


@dataclass
class _Transition:
    due: datetime
    state: str


@dataclass
class Entry:
    """One object of a tenancy.

    Attributes:
        kind: The SDK's class name, such as `Vault`.
        model: The full model.
        private: What the service keeps to itself, such as an authority's key.
        transition: The state that it will have later.
    """

    kind: str
    model: Model
    private: Any = None
    transition: _Transition | None = None


@dataclass
class Tenancy:
    """One tenancy: its objects in all regions, and the public keys that sign for it.

    Attributes:
        id: The tenancy's OCID, which is the root compartment's too.
        name: Its name.
        home_region: The region that takes writes to Identity.
        keys: Public keys by key id (`tenancy/user/fingerprint`).
        regions: The regions it is subscribed to (the SDK's `RegionSubscription`).
    """

    id: str
    name: str
    home_region: str
    keys: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    regions: list[Model] = field(default_factory=list)
    objects: dict[str, Entry] = field(default_factory=dict)
    retry_tokens: dict[str, tuple[str, Answer]] = field(default_factory=dict)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Store:
    """All tenancies of the rehearsal.

    Args:
        settle: How long an object stays in a passing state such as CREATING.
        clock: The time.
    """

    settle: timedelta = timedelta(0)
    clock: Callable[[], datetime] = _utc_now
    tenancies: dict[str, Tenancy] = field(default_factory=dict)
    sessions: SessionTokens = field(default_factory=SessionTokens)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add_tenancy(self, name: str, home_region: str) -> Tenancy:
        """Make an empty tenancy."""
        tenancy = Tenancy(f"ocid1.tenancy.oc1..{name}", name, home_region)
        self.tenancies[tenancy.id] = tenancy
        return tenancy

    def new_id(self, kind: str, region: str = "") -> str:
        """An OCID for a new object; global objects have no region in theirs."""
        return f"ocid1.{kind}.oc1.{region}.rehearsal{next(self._numbers):06d}"

    def tenancy_of(self, request: Request) -> Tenancy:
        """The tenancy that a caller belongs to."""
        return self.tenancies[request.caller.tenancy_id]

    def put(self, tenancy: Tenancy, kind: str, model: Model) -> Entry:
        """Add an object in the state that it has."""
        entry = Entry(kind, model)
        tenancy.objects[model.id] = entry
        return entry

    def put_settling(self, tenancy: Tenancy, kind: str, model: Model, then: str) -> Entry:
        """Add an object in a passing state that becomes another one by itself."""
        entry = self.put(tenancy, kind, model)
        self.change_later(entry, then)
        return entry

    def change_later(self, entry: Entry, then: str) -> None:
        """Let an object's present state end in another one."""
        entry.transition = _Transition(self.clock() + self.settle, then)

    def get(self, tenancy: Tenancy, kind: str, identifier: str) -> Entry:
        """An object of a kind.

        Raises:
            RefusedError: There is none (404).
        """
        entry = tenancy.objects.get(identifier)
        if entry is None or entry.kind != kind:
            raise not_found()
        self._settle(entry)
        return entry

    def all(self, tenancy: Tenancy, kind: str, region: str = "") -> list[Entry]:
        """All objects of a kind in a region, in the order in which they were made."""
        found = [entry for entry in tenancy.objects.values() if entry.kind == kind]
        for entry in found:
            self._settle(entry)
        return [entry for entry in found if not region or entry.model.id.split(".")[3] == region]

    def once(self, request: Request, create: Callable[[], Answer]) -> Answer:
        """Create something once per retry token: the same body again is answered the same.

        Raises:
            RefusedError: The token came with another body before (409).
        """
        token = request.headers.get("opc-retry-token", "")
        if not token:
            return create()
        digest = hashlib.sha256(request.body).hexdigest()
        known = self.tenancy_of(request).retry_tokens
        if token in known and known[token][0] != digest:
            raise RefusedError(409, "InvalidatedRetryToken", "the retry token came with another request")
        if token not in known:
            known[token] = (digest, create())
        return known[token][1]

    def _settle(self, entry: Entry) -> None:
        if entry.transition and self.clock() >= entry.transition.due:
            entry.model.lifecycle_state = entry.transition.state
            entry.transition = None
