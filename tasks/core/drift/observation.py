"""What was read from one cluster, found again by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.core.certificates.findings import CertManager, EndpointFact
from tasks.core.certificates.webhook_secrets import SecretFacts
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.verification import Finding


@dataclass(frozen=True)
class ClusterObservation:
    """Everything that a verification looks at.

    Attributes:
        cluster: The cluster's name.
        now: When it was read, aware.
        version: gitVersion of the API server.
        uid: uid of kube-system.
        objects: Live objects by name; a kind that was listed stands here with all its objects.
        secret: The webhook's Secret without its key.
        endpoints: What the endpoints of the webhook Services present.
        calls: What live calls through the API server said.
        cert_manager: Whether somebody acts on cert-manager's annotations.
        reads: How many read requests that took, live calls and handshakes aside.
        unseen: What could not be looked at, and why.
        unchanged: Objects of which the metadata alone was read: they are as they were when they were fine.
        compared_at: When the objects that can be unchanged were last all read; None: now.
    """

    cluster: str
    now: datetime
    version: str
    uid: str
    objects: Mapping[ObjectRef, Manifest] = field(repr=False)
    secret: SecretFacts | None = None
    endpoints: tuple[EndpointFact, ...] = ()
    calls: tuple[Finding, ...] = ()
    cert_manager: CertManager = CertManager.ABSENT
    reads: int = 0
    unseen: tuple[str, ...] = ()
    unchanged: frozenset[ObjectRef] = frozenset()
    compared_at: datetime | None = None

    def find(self, ref: ObjectRef) -> Manifest | None:
        """A live object; None when there is none."""
        return self.objects.get(ref)

    def of_kind(
        self, kind: str, namespace: str = "", accept: Callable[[Manifest], bool] = lambda _: True
    ) -> tuple[Manifest, ...]:
        """All objects of a kind that were read, of one namespace if it is named."""
        return tuple(
            live
            for ref, live in self.objects.items()
            if ref.kind == kind and namespace in ("", ref.namespace) and accept(live)
        )


def by_ref(objects: Iterable[Manifest]) -> dict[ObjectRef, Manifest]:
    """Objects under their names."""
    return {ref_of(each): each for each in objects}
