"""Moves trust on one cluster: Secret and every caBundle to the same bytes, then waits until OLM agrees."""

import time

from tasks.certificates.webhooks import RegisteredBundle, read_bundles, write_bundles
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

_CSV = "ClusterServiceVersion"
_HELD = 3.0
"""Seconds for which everything has to hold: OLM reacts to a change of the Secret within a few."""
_PAUSE = 0.25


class Rollout:
    """The moving parts of one publication.

    Args:
        csv: The operator's ClusterServiceVersion.
        deadline: When every step has to be over.
    """

    def __init__(self, client: ClusterClient, order: CertificateOrder, csv: str, deadline: Deadline) -> None:
        self._client = client
        self._order = order
        self._csv = ObjectRef("operators.coreos.com/v1alpha1", _CSV, csv, order.namespace)
        self._secret = ObjectRef("v1", "Secret", order.secret, order.namespace)
        self._deadline = deadline

    def facts(self) -> SecretFacts:
        """The Secret as it is now, without its key.

        Raises:
            CertificateError: It is gone.
        """
        secret = self._client.get(self._secret)
        if secret is None:
            raise CertificateError(
                "read the webhook's Secret", f"{self._client.name}: {self._secret}", found="none"
            )
        return read_webhook_secret(secret)

    def trust(self, trust: bytes) -> list[str]:
        """Bring olmCAKey and all caBundles to these bytes and wait until that holds and the CSV is Succeeded.

        Webhook configurations that OLM makes anew meanwhile are brought over as well.

        Raises:
            CertificateError: OLM replaced the Secret.
            StalledError: It did not settle in time.
        """
        changed = self._patch_secret(trust)
        leaf = self.facts().leaf
        held_since: float | None = None
        while True:
            bundles = self._bundles()
            changed += write_bundles(self._client, bundles, trust)
            self._require_ours(trust, leaf)
            if self._settled(bundles, trust):
                held_since = held_since or time.monotonic()
                if time.monotonic() - held_since >= _HELD:
                    return list(dict.fromkeys(changed))
            else:
                held_since = None
            if self._deadline.expired:
                raise self._stalled("settle the trust", f"ClusterServiceVersion {self._phase() or 'absent'}")
            time.sleep(_PAUSE)

    def wait_until_served(self, leaf: Certificate) -> None:
        """Wait until every endpoint of every Service presents this certificate, and that holds.

        Raises:
            StalledError: An endpoint did not in time; the message says what it presents instead.
        """
        seen = wait_for(self._endpoints, lambda facts: _all_serve(facts, leaf), self._deadline)
        if not _all_serve(seen, leaf):
            found = (
                "; ".join(f"{one.service} {one.address}: {_presented(one)}" for one in seen) or "no endpoints"
            )
            raise self._stalled(f"see every endpoint serve serial {leaf.serial}", found)

    def restoring_patch(self, data: dict[str, str], trust: bytes) -> Manifest:
        """A patch that puts kept certificate and key back, with this trust."""
        patch = trust_patch(self.facts(), trust)
        return {**patch, "data": {**patch["data"], **data}}

    def _patch_secret(self, trust: bytes) -> list[str]:
        facts = self.facts()
        if facts.trust == trust:
            return []
        self._client.patch(self._secret, trust_patch(facts, trust))
        return [f"UPDATED {self._secret}: olmCAKey"]

    def _require_ours(self, trust: bytes, leaf: Certificate | None) -> None:
        facts = self.facts()
        now = facts.leaf
        if facts.trust != trust or (now and now.sha256) != (leaf and leaf.sha256):
            raise ClusterConflictError(
                "change the trust",
                f"{self._client.name}: {self._secret}",
                "the Secret as it was just written",
                f"another certificate or CA in it (issuer {now.issuer if now else 'none'})",
                "OLM or somebody else wrote it. Run again: it starts from what is there now.",
            )

    def _settled(self, bundles: tuple[RegisteredBundle, ...], trust: bytes) -> bool:
        return all(bundle.ca_bundle == trust for bundle in bundles) and self._phase() in ("", "Succeeded")

    def _bundles(self) -> tuple[RegisteredBundle, ...]:
        return read_bundles(self._client, self._order.namespace, self._order.services)

    def _endpoints(self) -> tuple[EndpointFact, ...]:
        return read_endpoint_facts(self._client, self._order.plan.target)

    def _phase(self) -> str:
        csv = self._client.get(self._csv)
        return str(((csv or {}).get("status") or {}).get("phase", ""))

    def _stalled(self, attempted: str, found: str) -> StalledError:
        return StalledError(
            attempted,
            f"{self._client.name}: {self._secret}",
            "it to happen before the deadline",
            found,
            "Both CAs are trusted meanwhile, so nothing fails; run the flow again to go on.",
        )


def _all_serve(facts: tuple[EndpointFact, ...], leaf: Certificate) -> bool:
    return bool(facts) and all(_leaf_of(fact) == leaf.sha256 for fact in facts)


def _leaf_of(fact: EndpointFact) -> str:
    presented = read_certificates(fact.presented)
    return presented[0].sha256 if presented else ""


def _presented(fact: EndpointFact) -> str:
    presented = read_certificates(fact.presented)
    return f"serial {presented[0].serial}" if presented else fact.problem or "nothing"
