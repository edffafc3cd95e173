"""Makes the repairs that need no decision: observe, decide, write as publishing does, observe again (R22)."""

import time
from collections.abc import Iterator
from datetime import datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.diagnoses import ClusterDiagnosis, RepairOutcome, findings_of
from tasks.certificates.observing import ObservedCertificate, read_certificate_state
from tasks.certificates.repair_plans import RepairPlan, has_label, plan_repair
from tasks.certificates.webhooks import read_bundles, write_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_at
from tasks.connections import open_cluster
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import CertificateCase, CertificateFinding, Severity
from tasks.core.certificates.keys import load_key
from tasks.core.certificates.olm import CA_KEY, MANAGED_LABEL, secret_entry
from tasks.core.certificates.webhook_secrets import (
    CERTIFICATE_ENTRY,
    KEY_ENTRY,
    SecretFacts,
    ServingMaterial,
    read_webhook_secret,
    switch_patch,
    trust_patch,
)
from tasks.core.deadlines import Deadline
from tasks.core.errors import ClusterConflictError, ClusterError, ClusterUnavailableError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.permissions import PermissionRequest
from tasks.core.profiles import OperatorProfile
from tasks.steps import step

_ROUNDS = 3
"""How often a repair is written: when it takes more, somebody else writes the same objects."""
_HELD = 3.0
"""Seconds for which the result has to hold: OLM reacts to a change of the Secret within a few."""
_PAUSE = 0.5
_PASSING = frozenset(
    {CertificateCase.ENDPOINT_STALE, CertificateCase.ENDPOINT_SILENT, CertificateCase.SERVICES_DISAGREE}
)
"""What goes away by itself when the kubelet has brought the Secret to the pods, within two minutes."""


def repair_permissions(profile: OperatorProfile, namespace: str) -> tuple[PermissionRequest, ...]:
    """What a repair writes; reading alone needs less."""
    group, secret = "admissionregistration.k8s.io", profile.certificate_secret
    return (
        PermissionRequest("", "secrets", "patch", namespace, secret),
        PermissionRequest(group, "validatingwebhookconfigurations", "patch"),
        PermissionRequest(group, "mutatingwebhookconfigurations", "patch"),
    )


@step("repair-certificate")
def repair_certificate(
    cluster: KubernetesCluster,
    profile: OperatorProfile,
    namespace: str,
    authorities: tuple[Certificate, ...],
    until: datetime,
) -> ClusterDiagnosis:
    """Make the safe repairs of one cluster, and say what is wrong with it then.

    It waits until the result holds and the endpoints have taken it over, at most until the deadline. What is
    still wrong raises nothing: the diagnosis says it.

    Raises:
        ClusterError: The cluster cannot be read.
    """
    client = open_cluster(cluster)
    return Repairing(client, profile, namespace, authorities).run(deadline_at(until))


class Repairing:
    """The repair of one cluster.

    Args:
        authorities: Certificates of the CA that signs, when the run names it.
    """

    def __init__(
        self,
        client: ClusterClient,
        profile: OperatorProfile,
        namespace: str,
        authorities: tuple[Certificate, ...] = (),
    ) -> None:
        self._client = client
        self._profile = profile
        self._namespace = namespace
        self._authorities = authorities

    def run(self, deadline: Deadline) -> ClusterDiagnosis:
        """Repair what is safe to repair, and diagnose again."""
        observed = self._observe()
        before = findings = self._findings(observed)
        changed: list[str] = []
        refused = ""
        rounds, quiet_since = 0, time.monotonic()
        while True:
            plan = plan_repair(observed, findings, self._authorities)
            if plan.writes and rounds < _ROUNDS and not refused:
                refused = self._write(observed, plan, changed)
                rounds, quiet_since = rounds + 1, time.monotonic()
            elif not rounds or deadline.expired or refused or _holds(findings, quiet_since):
                break
            time.sleep(_PAUSE)
            observed = self._observe_again(observed, deadline)
            findings = self._findings(observed)
        left = (*plan.left, *([refused] if refused else _given_up(plan, rounds)))
        outcome = RepairOutcome(before, tuple(dict.fromkeys(changed)), left)
        return ClusterDiagnosis(self._client.name, observed, findings, repair=outcome)

    def _observe(self) -> ObservedCertificate:
        return read_certificate_state(self._client, self._profile, self._namespace)

    def _observe_again(self, observed: ObservedCertificate, deadline: Deadline) -> ObservedCertificate:
        try:
            return self._observe()
        except ClusterUnavailableError:
            # What was written has to be told, so a restart of the API server does not end the repair.
            if deadline.expired:
                raise
            return observed

    def _findings(self, observed: ObservedCertificate) -> tuple[CertificateFinding, ...]:
        return findings_of(observed, self._authorities)

    def _write(self, observed: ObservedCertificate, plan: RepairPlan, changed: list[str]) -> str:
        """Write the plan, a line per object into `changed`; returns why the cluster refuses, or nothing."""
        try:
            if plan.writes_secret:
                changed += self._write_secret(observed, plan)
            # One by one, so that what was written is told also when a later one is refused.
            for bundle in read_bundles(self._client, self._namespace, self._profile.service_names):
                changed += write_bundles(self._client, (bundle,), plan.trust)
        except ClusterError as error:
            # Written by somebody else meanwhile, or no answer: the next round starts from what is there.
            return "" if error.retryable else str(error)
        return ""

    def _write_secret(self, observed: ObservedCertificate, plan: RepairPlan) -> list[str]:
        ref = ObjectRef("v1", "Secret", self._profile.certificate_secret, self._namespace)
        secret, seen = self._client.get(ref), observed.state.secret
        if secret is None or seen is None or secret["metadata"]["resourceVersion"] != seen.resource_version:
            raise ClusterConflictError("repair the Secret", f"{self._client.name}: {ref}")
        self._client.patch(ref, _secret_patch(secret, plan))
        return [f"UPDATED {ref}: {', '.join(_parts(seen, plan))}"]


def _holds(findings: tuple[CertificateFinding, ...], quiet_since: float) -> bool:
    passing = any(one.case in _PASSING and one.severity is Severity.BROKEN for one in findings)
    return not passing and time.monotonic() - quiet_since >= _HELD


def _secret_patch(secret: Manifest, plan: RepairPlan) -> Manifest:
    """The patch that publishing would send; the key stays in this process and in the Secret."""
    facts = read_webhook_secret(secret)
    if facts.certificate == plan.certificate:
        return trust_patch(facts, plan.trust)
    key = load_key(secret_entry(secret, KEY_ENTRY) or b"")
    return switch_patch(facts, ServingMaterial(plan.certificate, key, plan.trust))


def _parts(secret: SecretFacts, plan: RepairPlan) -> Iterator[str]:
    if not has_label(secret):
        yield f"label {MANAGED_LABEL}"
    if secret.certificate != plan.certificate:
        yield CERTIFICATE_ENTRY
    if secret.trust != plan.trust:
        yield CA_KEY


def _given_up(plan: RepairPlan, rounds: int) -> Iterator[str]:
    if plan.writes:
        yield f"repaired {rounds} times, and not as written: somebody else writes the same objects"
