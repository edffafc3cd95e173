"""Are the operator's CRDs there, established, and served in the version that the profile names (R8)?"""

from collections.abc import Mapping

from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import HealthState, object_health
from tasks.core.profiles import CrdRole, ExpectedCrd, OperatorProfile
from tasks.core.verification.findings import Check, Finding, FindingState

_API_VERSION = "apiextensions.k8s.io/v1"
_NEXT_STEP = "Look at the InstallPlan and the ClusterServiceVersion: OLM creates the CRDs from the bundle."


def check_crds(profile: OperatorProfile, live: Mapping[str, Manifest]) -> tuple[Finding, ...]:
    """One finding for each CRD of the profile.

    Args:
        profile: The operator.
        live: The cluster's CRDs by name; others than the profile's are passed over.
    """
    return tuple(_check_crd(crd, live.get(crd.name)) for crd in profile.crds)


def crd_ref(crd: ExpectedCrd) -> ObjectRef:
    """The CRD as an object."""
    return ObjectRef(_API_VERSION, "CustomResourceDefinition", crd.name)


def served_versions(live: Manifest | None) -> tuple[str, ...]:
    """The versions that a CRD serves."""
    versions = ((live or {}).get("spec") or {}).get("versions") or []
    return tuple(str(version["name"]) for version in versions if version.get("served"))


def _check_crd(crd: ExpectedCrd, live: Manifest | None) -> Finding:
    expected = f"Established, {crd.version} served"
    required = crd.role is CrdRole.REQUIRED
    runbook = "R8" if required else ""
    bad = FindingState.FAIL if required else FindingState.WARN
    ref = crd_ref(crd)
    health = object_health(ref, live)
    if health.state is not HealthState.HEALTHY:
        found = "no such CRD" if health.state is HealthState.MISSING else health.detail
        return Finding(Check.CRD, runbook, ref, bad, expected, found, _NEXT_STEP)
    served = served_versions(live)
    if crd.version not in served:
        found = f"Established, {', '.join(served) or 'no version'} served"
        next_step = "Another version of the operator owns the CRD: find its ClusterServiceVersion."
        return Finding(Check.CRD, runbook, ref, bad, expected, found, next_step)
    return Finding(Check.CRD, runbook, ref, FindingState.PASS, expected, expected)
