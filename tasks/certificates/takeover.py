"""The one reinstall at the end of a change of CA: OLM makes the operator's pods anew with the new trust.

Without it OLM would do the same by itself within five minutes, at a moment that nobody chose.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.certificates.rollout import HELD, Rollout, made_by_olm
from tasks.certificates.webhooks import write_service
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.names import server_name
from tasks.core.certificates.olm import CA_HASH_ANNOTATION, recreates_service
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.manifests import ObjectRef, sha256_hex
from tasks.operator.reinstalling import ask_for_reinstall


@dataclass(frozen=True)
class Takeover:
    """What OLM still has to do, and how its Service is gone round meanwhile.

    Attributes:
        deployment: Name of the operator's Deployment.
        olm_version: The running OLM.
        trust: The trust that OLM is to take over.
        leaf: The certificate that serves, and has to stay.
    """

    rollout: Rollout
    deployment: str
    olm_version: str
    trust: bytes
    leaf: Certificate

    @property
    def is_done(self) -> bool:
        """Whether the operator's pods were made with this CA, and OLM is content."""
        return self.rollout.phase() == "Succeeded" and self._is_taken_over

    @property
    def risk(self) -> str:
        """What a person has to know before the trust is moved; empty when OLM's look does no harm."""
        if not self._service_is_recreated or self._way_round():
            return ""
        return (
            f"should OLM {self.olm_version} look in before the new certificate serves (it does every five "
            f"minutes), it deletes and recreates the Service {self.rollout.olm_service}: calls of the "
            "webhooks fail for a moment then"
        )

    @property
    def window(self) -> str:
        """What a person has to know before it is carried out; empty when no call is expected to fail."""
        if self.is_done or not self._service_is_recreated or self._way_round():
            return ""
        return (
            f"OLM {self.olm_version} now deletes and recreates the Service {self.rollout.olm_service}: calls "
            "of the webhooks fail for a moment"
        )

    def carry_out(self) -> list[str]:
        """Have OLM reinstall the operator once, unless it has done so.

        Where OLM recreates its Service for that, the webhooks are called at another Service meanwhile, if
        there is one that the certificate names; OLM turns them back itself, with the new caBundle.

        Raises:
            ClusterConflictError: OLM replaced the Secret.
            StalledError: OLM did not in time.
        """
        if self.is_done:
            return []
        changed = [
            *self.go_round(),
            f"UPDATED {self.rollout.csv}: status.phase, so that OLM takes the CA over",
        ]
        self.rollout.called_service = self.rollout.olm_service
        return changed + self.rollout.settle(self.trust, self.leaf, self._is_done_or_asked)

    def go_round(self) -> list[str]:
        """Have the webhooks called at another Service, where OLM recreates its own and there is one."""
        service = self._way_round() if self._service_is_recreated else ""
        if not service:
            return []
        self.rollout.called_service = service
        changed = write_service(self.rollout.client, made_by_olm(self.rollout.bundles()), service)
        if changed:
            # Every API server has to have seen it before OLM takes its Service away.
            time.sleep(HELD)
        return list(changed)

    def _is_done_or_asked(self) -> bool:
        # The phase is read once and first: OLM may have become content between two looks at it.
        if self.rollout.phase() != "Succeeded":
            return False
        taken_over = self._is_taken_over
        if not taken_over:
            # Asked again when OLM wrote a status of its own over the question.
            ask_for_reinstall(self.rollout.client, self.rollout.csv)
        return taken_over

    @property
    def _is_taken_over(self) -> bool:
        client, namespace = self.rollout.client, self.rollout.order.namespace
        deployment = client.get(ObjectRef("apps/v1", "Deployment", self.deployment, namespace))
        if deployment is None:
            return True
        annotations = (deployment["spec"]["template"].get("metadata") or {}).get("annotations") or {}
        return bool(annotations.get(CA_HASH_ANNOTATION) == sha256_hex(self.trust))

    @property
    def _service_is_recreated(self) -> bool:
        return recreates_service(self.olm_version)

    def _way_round(self) -> str:
        """Another Service of the operator at which the API server accepts the certificate."""
        order, now = self.rollout.order, datetime.now(UTC)
        ports = {bundle.port for bundle in made_by_olm(self.rollout.bundles())}
        for service in order.services:
            name = server_name(service, order.namespace)
            accepted = verify_for_api_server(self.leaf.pem, self.trust, name, now).valid
            if service != self.rollout.olm_service and accepted and ports <= self._ports(service):
                return service
        return ""

    def _ports(self, service: str) -> set[int]:
        found = self.rollout.client.get(ObjectRef("v1", "Service", service, self.rollout.order.namespace))
        return {port["port"] for port in found["spec"]["ports"]} if found else set()
