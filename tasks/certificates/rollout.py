"""Moves trust on one cluster: Secret and every caBundle to the same bytes, then waits until that holds.

OLM reinstalls the operator when the CA that it finds in a caBundle is not the one that the Deployment's pods
were made with. Every reinstall rolls the pods, and before 0.28.0 it deletes and recreates the Service in
front of them. Left alone it does so after each of the three changes of trust, at an event of the Secret that
it owns. So the Secret loses its ownerReference to the ClusterServiceVersion with the first change (a Secret
made before the operator never has one): OLM then sees nothing until it is asked to take over, once, at the
end. Its look around every five minutes may fall in between; it then writes what the Secret says, which is
what the caBundles hold as well.
"""

import time
from collections.abc import Callable

from tasks.certificates.contests import Contest
from tasks.certificates.webhooks import RegisteredBundle, read_bundles, write_bundles, write_service
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.clients.polling import wait_for
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import EndpointFact
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import SecretFacts, read_webhook_secret, trust_patch
from tasks.core.deadlines import Deadline
from tasks.core.errors import CertificateError, ClusterConflictError, StalledError
from tasks.core.manifests import Manifest, ObjectRef

HELD = 3.0
"""Seconds for which a change has to hold where the next one needs every API server to have seen it."""
_PAUSE = 0.25


class Rollout:
    """The moving parts of one publication.

    Attributes:
        called_service: Where the webhooks that OLM registered are called when a step has settled.

    Args:
        csv: Name of the operator's ClusterServiceVersion.
        deadline: When every step has to be over.
    """

    def __init__(self, client: ClusterClient, order: CertificateOrder, csv: str, deadline: Deadline) -> None:
        self.client = client
        self.order = order
        self.csv = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", csv, order.namespace)
        # OLM names the Secret after the Service (pkg/controller/install/certresources.go).
        self.olm_service = order.secret.removesuffix("-cert")
        self.called_service = self.olm_service
        self._secret = ObjectRef("v1", "Secret", order.secret, order.namespace)
        self._deadline = deadline

    def facts(self) -> SecretFacts:
        """The Secret as it is now, without its key.

        Raises:
            CertificateError: It is gone.
        """
        secret = self.client.get(self._secret)
        if secret is None:
            raise CertificateError(
                "read the webhook's Secret", f"{self.client.name}: {self._secret}", found="none"
            )
        return read_webhook_secret(secret)

    def unchanged_facts(self, leaf: Certificate | None) -> SecretFacts:
        """The same, provided that it still holds this leaf.

        Raises:
            ClusterConflictError: It does not.
        """
        facts = self.facts()
        now = facts.leaf
        if (now and now.sha256) != (leaf and leaf.sha256):
            expected = f"the certificate with serial {leaf.serial}" if leaf else "no certificate"
            raise self._conflict(expected, f"serial {now.serial} by {now.issuer}" if now else "none")
        return facts

    def write_secret(self, patch: Manifest) -> str:
        """Patch the Secret under the patch's precondition, and take it out of OLM's sight.

        Raises:
            ClusterConflictError: Somebody else wrote it since it was read.
        """
        metadata = {**patch["metadata"], "ownerReferences": None}
        self.client.patch(self._secret, {**patch, "metadata": metadata})
        return f"UPDATED {self._secret}: {', '.join(patch['data'])}"

    def trust(self, trust: bytes, leaf: Certificate | None, held: float = HELD) -> list[str]:
        """Bring olmCAKey and all caBundles to these bytes and wait until that holds and the CSV is Succeeded.

        Webhook configurations that OLM makes anew meanwhile are brought over as well.

        Args:
            trust: PEM; the first CA is the issuer of what the Secret holds.
            leaf: What the Secret holds, and has to go on holding.
            held: Seconds for which it has to hold.

        Raises:
            ClusterConflictError: Somebody else, or OLM, changed the Secret.
            StalledError: It did not settle in time.
        """
        facts = self.unchanged_facts(leaf)
        changed = [] if facts.trust == trust else [self.write_secret(trust_patch(facts, trust))]
        return changed + self.settle(trust, leaf, lambda: self.phase() in ("", "Succeeded"), held)

    def settle(
        self, trust: bytes, leaf: Certificate | None, done: Callable[[], bool], held: float = HELD
    ) -> list[str]:
        """Keep all caBundles at these bytes until everything is done and has held for a while.

        Raises:
            ClusterConflictError: Somebody else, or OLM, changed the Secret.
            StalledError: It was not done in time.
        """
        changed: list[str] = []
        held_since: float | None = None
        contest = Contest()
        while True:
            bundles = self.bundles()
            contest.note(bundles, trust)
            changed += write_bundles(self.client, bundles, trust)
            self._require_ours(trust, leaf)
            finished = done()
            if finished:
                # Not before: a reinstall of OLM's turns them to its own Service.
                changed += write_service(self.client, made_by_olm(bundles), self.called_service)
            if finished and all(bundle.ca_bundle == trust for bundle in bundles):
                held_since = held_since or time.monotonic()
                if time.monotonic() - held_since >= held:
                    return list(dict.fromkeys(changed))
            else:
                held_since = None
            if self._deadline.expired:
                found = contest.text() or f"ClusterServiceVersion {self.phase() or 'absent'}"
                raise self._stalled("settle the trust", found)
            time.sleep(_PAUSE)

    def wait_until_served(self, leaf: Certificate) -> None:
        """Wait until every endpoint of every Service presents this certificate.

        Raises:
            StalledError: An endpoint did not in time; the message says what it presents instead.
        """
        seen = wait_for(self._endpoints, lambda facts: _all_serve(facts, leaf), self._deadline)
        if not _all_serve(seen, leaf):
            found = "; ".join(f"{one.service} {one.address}: {_presented(one)}" for one in seen)
            raise self._stalled(f"see every endpoint serve serial {leaf.serial}", found or "no endpoints")

    def restoring_patch(self, data: dict[str, str], trust: bytes) -> Manifest:
        """A patch that puts kept certificate and key back, with this trust."""
        patch = trust_patch(self.facts(), trust)
        return {**patch, "data": {**patch["data"], **data}}

    def bundles(self) -> tuple[RegisteredBundle, ...]:
        """The caBundles of every webhook that is called at one of the order's Services."""
        return read_bundles(self.client, self.order.namespace, self.order.services)

    def phase(self) -> str:
        """The phase of the ClusterServiceVersion; empty without one."""
        csv = self.client.get(self.csv)
        return str(((csv or {}).get("status") or {}).get("phase", ""))

    def _require_ours(self, trust: bytes, leaf: Certificate | None) -> None:
        if self.unchanged_facts(leaf).trust != trust:
            raise self._conflict("olmCAKey as it was just written", "another one")

    def _conflict(self, expected: str, found: str) -> ClusterConflictError:
        return ClusterConflictError(
            "change the trust",
            f"{self.client.name}: {self._secret}",
            expected,
            found,
            "OLM or somebody else wrote it. Run again: it starts from what is there now.",
        )

    def _endpoints(self) -> tuple[EndpointFact, ...]:
        return read_endpoint_facts(self.client, self.order.plan.target)

    def _stalled(self, attempted: str, found: str) -> StalledError:
        return StalledError(
            attempted,
            f"{self.client.name}: {self._secret}",
            "it to happen before the deadline",
            found,
            "The API server trusts what is served meanwhile, so nothing fails; run the flow again to go on.",
        )


def made_by_olm(bundles: tuple[RegisteredBundle, ...]) -> tuple[RegisteredBundle, ...]:
    """Those that OLM registered."""
    return tuple(bundle for bundle in bundles if bundle.made_by_olm)


def _all_serve(facts: tuple[EndpointFact, ...], leaf: Certificate) -> bool:
    return bool(facts) and all(_leaf_of(fact) == leaf.sha256 for fact in facts)


def _leaf_of(fact: EndpointFact) -> str:
    presented = read_certificates(fact.presented)
    return presented[0].sha256 if presented else ""


def _presented(fact: EndpointFact) -> str:
    presented = read_certificates(fact.presented)
    return f"serial {presented[0].serial}" if presented else fact.problem or "nothing"
