"""Which step of an installation puts a drifted object or field back, or why none does (R2–R11, R20–R22)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.core.certificates.olm import recreates_service
from tasks.core.certificates.webhook_secrets import STAGING_SECRET
from tasks.core.drift.certificates import KEY_FIELD
from tasks.core.drift.expectation import CRD_KIND, CSV_KIND, Expectation, refs_of
from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.webhooks import KINDS
from tasks.core.manifests import ObjectRef, ref_of
from tasks.core.olm_health import OLM_MADE_OBJECTS
from tasks.core.steps import InstallStep

_CA_BUNDLE = "/clientConfig/caBundle"
_CLAIM = "/metadata/annotations/"
_ISSUE = "run issue-webhook-certificate for this cluster: a new certificate needs a person's decision"


@dataclass(frozen=True)
class Remedy:
    """What puts one item right.

    Attributes:
        step: The step that writes it; None when there is none.
        unit: What the step writes at once: an object, a whole certificate, all that OLM makes of a
            ClusterServiceVersion.
        reason: Why there is no step, and what a person does instead; or what the step does besides.
    """

    step: InstallStep | None = None
    unit: ObjectRef | None = None
    reason: str = ""


@dataclass(frozen=True)
class RepairSteps:
    """Knows for every object of an installation the step that writes it.

    Attributes:
        expected: The installation.
        olm_version: The OLM that runs; empty when there is none.
        operator: The ClusterServiceVersion that is there; empty when there is none.
    """

    expected: Expectation
    olm_version: str = ""
    operator: str = ""
    _writers: Mapping[ObjectRef, InstallStep] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the objects by the step that writes them."""
        object.__setattr__(self, "_writers", _writers(self.expected))

    def remedy(self, item: DriftItem) -> Remedy:
        """The step that puts an item right, or the reason why there is none."""
        if reason := _untouchable(item):
            return Remedy(reason=reason)
        if item.ref == self.secret:
            return self._of_secret(item)
        if item.ref.kind in KINDS:
            return self._of_webhook(item)
        return self._of_object(item)

    @property
    def secret(self) -> ObjectRef:
        """The webhook's Secret."""
        return ObjectRef("v1", "Secret", self.expected.profile.certificate_secret, self.expected.namespace)

    @property
    def csv(self) -> ObjectRef:
        """The operator's ClusterServiceVersion."""
        installation = self.expected.installation
        return ObjectRef("operators.coreos.com/v1alpha1", CSV_KIND, installation.csv, installation.namespace)

    def _of_secret(self, item: DriftItem) -> Remedy:
        if item.kind is DriftKind.MISSING and not item.field:
            return Remedy(reason=f"OLM makes its own certificate anew; for one of your CA {_ISSUE}")
        if item.field == KEY_FIELD:
            return Remedy(reason=f"the lost key is nowhere else: {_ISSUE}")
        return Remedy(InstallStep.CERTIFICATE_REPAIR, self.secret)

    def _of_webhook(self, item: DriftItem) -> Remedy:
        if item.field.endswith(_CA_BUNDLE):
            return Remedy(InstallStep.CERTIFICATE_REPAIR, self.secret)
        if item.field.startswith(_CLAIM):
            return Remedy(reason="take the annotation off, or leave the certificate to cert-manager")
        return self._reinstall(self.csv)

    def _of_object(self, item: DriftItem) -> Remedy:
        step = self._writers.get(item.ref)
        if step in (InstallStep.OLM_CRDS, InstallStep.OLM_OBJECTS):
            return self._of_olm(item, step)
        if step is None or item.kind is DriftKind.UNEXPECTED:
            return Remedy(reason=self._without_step(item))
        if step is InstallStep.SUBSCRIPTION and item.kind is DriftKind.MISSING and not item.field:
            return self._of_lost_subscription(item)
        return (
            self._reinstall(self._maker(item.ref))
            if step is InstallStep.REINSTALL
            else Remedy(step, item.ref)
        )

    def _reinstall(self, csv: ObjectRef) -> Remedy:
        blinks = self.olm_version not in ("", "several") and recreates_service(self.olm_version)
        text = f"OLM {self.olm_version} recreates the Service for it: calls of the webhooks fail for a moment"
        return Remedy(InstallStep.REINSTALL, csv, text if blinks and csv == self.csv else "")

    def _of_lost_subscription(self, item: DriftItem) -> Remedy:
        if not self.operator:
            return Remedy(InstallStep.SUBSCRIPTION, item.ref)
        # Seen with OLM 0.46.0: "exists and is not referenced by a subscription", for ever.
        text = f"OLM resolves no Subscription beside a {self.operator} that no Subscription brought"
        return Remedy(reason=f"{text}: delete that ClusterServiceVersion, and run install-fleet")

    def _of_olm(self, item: DriftItem, step: InstallStep) -> Remedy:
        wanted = self.expected.olm.version
        if self.olm_version not in ("", wanted):
            text = f"OLM {self.olm_version} runs, and {wanted} should: an upgrade is no repair"
            return Remedy(reason=f"{text}; run install-fleet with olm.other_version UPGRADE")
        if item.kind is DriftKind.UNEXPECTED and item.ref.kind != CRD_KIND:
            return Remedy(reason="what somebody added is not taken away; remove it by hand")
        return Remedy(step, item.ref)

    def _maker(self, ref: ObjectRef) -> ObjectRef:
        """The ClusterServiceVersion that OLM makes an object of."""
        for manifest in self.expected.olm.objects:
            csv = ref_of(manifest)
            if csv.kind == CSV_KIND and (ref in OLM_MADE_OBJECTS or ref.namespace == csv.namespace):
                return csv
        return self.csv

    def _without_step(self, item: DriftItem) -> str:
        if item.kind is DriftKind.UNEXPECTED:
            return "what somebody added is not taken away; remove it by hand"
        if item.ref in refs_of(self.expected.operator):
            return (
                "OLM wrote it once, from the InstallPlan, and writes it again only for a new one: delete the "
                "Subscription and the ClusterServiceVersion, and run install-fleet"
            )
        if item.ref.kind in ("Secret", "ConfigMap"):
            return "it is yours to fill in: see check-prerequisites"
        return "no step of the installation writes it"


def _untouchable(item: DriftItem) -> str:
    """What no step is about, whatever the object is."""
    if item.kind is DriftKind.UNREACHABLE:
        return "nothing that is written makes it answer: look at its pods, endpoints and network"
    if item.kind is DriftKind.EXPIRING:
        return _ending(item)
    if item.kind is DriftKind.UNEXPECTED and not item.field:
        leftover = item.ref.kind == "CertificateSigningRequest" or item.ref.name == STAGING_SECRET
        return (
            "run clear-requests: it deletes what a run left"
            if leftover
            else "an object of others is never deleted: whoever made it has to"
        )
    if item.field == "/metadata/deletionTimestamp":
        return "a deletion cannot be taken back; when it is over, the object is MISSING"
    if item.field.startswith("/status"):
        return "a status is not written: it follows from the rest, or look at events and pods"
    return ""


def _ending(item: DriftItem) -> str:
    if item.ref.kind == "CertificateSigningRequest":
        return "a person decides about the request, at the gate of issue-webhook-certificate"
    return f"{_ISSUE}; OLM renews only its own"


def _writers(expected: Expectation) -> dict[ObjectRef, InstallStep]:
    namespace = ObjectRef("v1", "Namespace", expected.namespace)
    installation = expected.installation
    by_step = (
        # What comes later counts where an object is named twice.
        (InstallStep.REINSTALL, (*refs_of(expected.made_by_olm), *OLM_MADE_OBJECTS)),
        (InstallStep.METRICS_SERVER, refs_of(expected.metrics_server)),
        (InstallStep.CATALOG, refs_of(expected.catalog)),
        (InstallStep.OPERATOR_GROUP, (ref_of(installation.operator_group()),)),
        (InstallStep.SUBSCRIPTION, (ref_of(installation.subscription()),)),
        (InstallStep.NAMESPACE, (namespace,)),
        (InstallStep.OLM_OBJECTS, refs_of(expected.olm.objects)),
        (InstallStep.OLM_CRDS, refs_of(expected.olm.crds)),
    )
    return {ref: step for step, refs in by_step for ref in refs}
