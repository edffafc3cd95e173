"""Which step puts a drifted object or field back, and what is said where none does (R2–R11, R20–R22)."""

import pytest

from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.repair_steps import RepairSteps
from tasks.core.manifests import ObjectRef
from tests.support.expectations import CSV_NAME, NAMESPACE, OLM_VERSION, expectation

STEPS = RepairSteps(expectation(), OLM_VERSION, CSV_NAME)
OLM = "operators.coreos.com/v1alpha1"
ADMISSION = "admissionregistration.k8s.io/v1"
CSV = ObjectRef(OLM, "ClusterServiceVersion", CSV_NAME, NAMESPACE)
PACKAGESERVER = ObjectRef(OLM, "ClusterServiceVersion", "packageserver", "olm")
ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
CRD = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "operators.operators.coreos.com")
SECRET = ObjectRef("v1", "Secret", "oci-service-operator-controller-manager-service-cert", NAMESPACE)
WEBHOOK = ObjectRef(ADMISSION, "ValidatingWebhookConfiguration", "mesh-validator-abcde")
SUBSCRIPTION = ObjectRef(OLM, "Subscription", "oci-service-operator", NAMESPACE)
GROUP = ObjectRef("operators.coreos.com/v1", "OperatorGroup", "osok-fleet", NAMESPACE)
SOURCE = ObjectRef(OLM, "CatalogSource", "oci-service-operator-catalog", NAMESPACE)
PLACE = ObjectRef("v1", "Namespace", NAMESPACE)
MANAGER = ObjectRef("apps/v1", "Deployment", "oci-service-operator-controller-manager", NAMESPACE)
METRICS = ObjectRef("apps/v1", "Deployment", "metrics-server", "kube-system")
BUNDLED = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "streams.oci.oracle.com")
REQUEST = ObjectRef("certificates.k8s.io/v1", "CertificateSigningRequest", "oci-service-operator.x")
CHANGED, MISSING, UNEXPECTED = DriftKind.CHANGED, DriftKind.MISSING, DriftKind.UNEXPECTED


def item(kind: DriftKind, ref: ObjectRef, field: str = "") -> DriftItem:
    return DriftItem(kind=kind, ref=ref, field=field)


@pytest.mark.parametrize(
    ("drifted", "step", "unit"),
    [
        (item(CHANGED, ROLE, "/rules/0/verbs"), "OLM_OBJECTS", ROLE),
        (item(MISSING, ROLE), "OLM_OBJECTS", ROLE),
        (item(CHANGED, CRD, "/spec/scope"), "OLM_CRDS", CRD),
        (item(UNEXPECTED, CRD, "/spec/versions/1"), "OLM_CRDS", CRD),
        (item(MISSING, PLACE, "/metadata/labels/x"), "NAMESPACE", PLACE),
        (item(CHANGED, SOURCE, "/spec/address"), "CATALOG", SOURCE),
        (item(MISSING, GROUP), "OPERATOR_GROUP", GROUP),
        (item(CHANGED, SUBSCRIPTION, "/spec/channel"), "SUBSCRIPTION", SUBSCRIPTION),
        (item(CHANGED, METRICS, "/spec/replicas"), "METRICS_SERVER", METRICS),
        # OLM writes all that it makes of a ClusterServiceVersion at once.
        (item(CHANGED, MANAGER, "/spec/replicas"), "REINSTALL", CSV),
        (item(CHANGED, WEBHOOK, "/webhooks/0/failurePolicy"), "REINSTALL", CSV),
        (item(UNEXPECTED, WEBHOOK, "/webhooks/0/namespaceSelector"), "REINSTALL", CSV),
        (item(MISSING, WEBHOOK), "REINSTALL", CSV),
        (
            item(CHANGED, ObjectRef("apps/v1", "Deployment", "packageserver", "olm"), "/spec/replicas"),
            "REINSTALL",
            PACKAGESERVER,
        ),
        # Secret and caBundles belong together.
        (item(CHANGED, SECRET, "/data/olmCAKey"), "CERTIFICATE_REPAIR", SECRET),
        (item(MISSING, SECRET, "/metadata/labels/olm.managed"), "CERTIFICATE_REPAIR", SECRET),
        (item(CHANGED, WEBHOOK, "/webhooks/0/clientConfig/caBundle"), "CERTIFICATE_REPAIR", SECRET),
    ],
    ids=lambda value: value.summary if isinstance(value, DriftItem) else str(value),
)
def test_an_object_is_put_back_by_the_step_that_writes_it(
    drifted: DriftItem, step: str, unit: ObjectRef
) -> None:
    remedy = STEPS.remedy(drifted)

    assert (remedy.step and remedy.step.name, remedy.unit) == (step, unit)


@pytest.mark.parametrize(
    ("drifted", "said"),
    [
        (
            item(UNEXPECTED, ObjectRef("operators.coreos.com/v1", "OperatorGroup", "second", NAMESPACE)),
            "never",
        ),
        (item(UNEXPECTED, ObjectRef(ADMISSION, "ValidatingWebhookConfiguration", "else")), "never deleted"),
        (item(UNEXPECTED, GROUP, "/spec/targetNamespaces"), "by hand"),
        (item(UNEXPECTED, ROLE, "/metadata/deletionTimestamp"), "cannot be taken back"),
        (item(UNEXPECTED, REQUEST), "clear-requests"),
        (item(UNEXPECTED, ObjectRef("v1", "Secret", "osok-fleet-staging", NAMESPACE)), "clear-requests"),
        (item(DriftKind.EXPIRING, SECRET, "/data/tls.crt"), "issue-webhook-certificate"),
        (item(DriftKind.EXPIRING, REQUEST), "at the gate"),
        (item(DriftKind.UNREACHABLE, WEBHOOK), "pods, endpoints and network"),
        (item(CHANGED, CSV, "/status/phase"), "a status is not written"),
        (item(CHANGED, SECRET, "/data/tls.key"), "issue-webhook-certificate"),
        (item(MISSING, SECRET), "issue-webhook-certificate"),
        (item(CHANGED, CSV, "/spec/install"), "from the InstallPlan"),
        (item(MISSING, BUNDLED), "from the InstallPlan"),
        (item(MISSING, SUBSCRIPTION), "delete that ClusterServiceVersion"),
        (item(MISSING, ObjectRef("v1", "Secret", "ocicredentials", NAMESPACE)), "yours to fill in"),
        (
            item(DriftKind.CONTESTED, WEBHOOK, "/metadata/annotations/cert-manager.io~1inject-ca-from"),
            "cert-manager",
        ),
        (item(MISSING, ObjectRef("v1", "Service", "else", NAMESPACE)), "no step"),
    ],
    ids=lambda value: value.summary if isinstance(value, DriftItem) else str(value),
)
def test_where_no_step_helps_a_person_is_told_what_does(drifted: DriftItem, said: str) -> None:
    remedy = STEPS.remedy(drifted)

    assert remedy.step is None
    assert said in remedy.reason


def test_without_the_operator_a_lost_subscription_is_made_anew() -> None:
    remedy = RepairSteps(expectation(), OLM_VERSION, "").remedy(item(MISSING, SUBSCRIPTION))

    assert remedy.step is not None
    assert remedy.step.name == "SUBSCRIPTION"


def test_another_olm_is_not_repaired_but_upgraded() -> None:
    remedy = RepairSteps(expectation(), "0.20.0", CSV_NAME).remedy(item(CHANGED, ROLE, "/rules"))

    assert remedy.step is None
    assert "OLM 0.20.0 runs, and 0.46.0 should" in remedy.reason


def test_what_an_old_olm_breaks_for_a_moment_is_told() -> None:
    remedy = RepairSteps(expectation(), "0.20.0", CSV_NAME).remedy(
        item(CHANGED, WEBHOOK, "/webhooks/0/rules")
    )

    assert remedy.step is not None
    assert remedy.reason == (
        "OLM 0.20.0 recreates the Service for it: calls of the webhooks fail for a moment"
    )
