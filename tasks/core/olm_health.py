"""The health of an installed OLM, object by object: the table of `operator-sdk olm status`, but judged (R3).

The original prints "Installed" for every object that a GET returns; here each kind is judged by its status.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from tasks.core.conditions import Condition, condition_of
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest, ObjectRef, ref_of

_COPIED_FROM = "olm.copiedFrom"
_PACKAGESERVER = "packageserver"


class HealthState(StrEnum):
    """How an object is doing."""

    HEALTHY = "HEALTHY"
    PROGRESSING = "PROGRESSING"
    """Not there yet, and nothing says that it will not get there."""
    UNHEALTHY = "UNHEALTHY"
    MISSING = "MISSING"


@dataclass(frozen=True)
class ObjectHealth:
    """One row of the table.

    Attributes:
        detail: Why the state is what it is; the object's own words where it has some.
    """

    ref: ObjectRef
    state: HealthState
    detail: str = ""


@dataclass(frozen=True)
class OlmHealth:
    """The R3 table of an OLM release."""

    rows: tuple[ObjectHealth, ...]

    HEADER: ClassVar = ("NAME", "NAMESPACE", "KIND", "STATUS")

    @property
    def healthy(self) -> bool:
        """Whether every object is HEALTHY."""
        return all(row.state is HealthState.HEALTHY for row in self.rows)

    @property
    def absent(self) -> bool:
        """Whether not one object exists, so OLM is not installed at all."""
        return all(row.state is HealthState.MISSING for row in self.rows)

    def summary(self) -> str:
        """For example `24/24 healthy`."""
        healthy = sum(row.state is HealthState.HEALTHY for row in self.rows)
        return f"{healthy}/{len(self.rows)} healthy"

    def unhealthy_rows(self) -> tuple[ObjectHealth, ...]:
        """The rows that are not HEALTHY."""
        return tuple(row for row in self.rows if row.state is not HealthState.HEALTHY)

    def table(self) -> tuple[tuple[str, str, str, str], ...]:
        """The rows as text under HEADER; the status carries the detail."""
        return tuple(
            (row.ref.name, row.ref.namespace, row.ref.kind, ": ".join(filter(None, (row.state, row.detail))))
            for row in self.rows
        )


OLM_MADE_OBJECTS = (
    ObjectRef("apps/v1", "Deployment", _PACKAGESERVER, "olm"),
    ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1.packages.operators.coreos.com"),
)
"""What OLM makes itself for its packageserver: not in the release's manifests, but needed for health."""


def release_health(
    manifests: Iterable[Manifest],
    live: Mapping[ObjectRef, Manifest | None],
    made_by_olm: Iterable[ObjectRef] = (),
) -> OlmHealth:
    """Judge every object of an OLM release.

    Args:
        manifests: The release's objects.
        live: What the cluster holds under their names; an absent entry counts as a missing object.
        made_by_olm: Further rows, usually `OLM_MADE_OBJECTS`.
    """
    refs = [*(ref_of(manifest) for manifest in manifests), *made_by_olm]
    return OlmHealth(tuple(object_health(ref, live.get(ref)) for ref in refs))


def object_health(ref: ObjectRef, live: Manifest | None) -> ObjectHealth:
    """Judge one object by what its kind reports; kinds that report nothing are healthy when they exist."""
    if live is None:
        return ObjectHealth(ref, HealthState.MISSING)
    if live.get("metadata", {}).get("deletionTimestamp"):
        waiting_for = ", ".join(live["metadata"].get("finalizers") or [])
        detail = "is being deleted" + (f", waits for finalizers {waiting_for}" if waiting_for else "")
        return ObjectHealth(ref, HealthState.UNHEALTHY, detail)
    state, detail = _JUDGES.get(ref.kind, _exists)(live)
    return ObjectHealth(ref, state, detail)


def installed_olm_version(csvs: Iterable[Manifest]) -> str:
    """The version of the OLM that is installed, without a leading `v`; empty when there is none.

    The CSV named packageserver (some releases: packageserver.vX.Y.Z) carries it in the label `olm.version`,
    with a `v` since 0.19, and in `spec.version`.

    Args:
        csvs: The ClusterServiceVersions of OLM's namespace.

    Raises:
        PrerequisiteError: There are several, or one that does not tell its version.
    """
    found = [csv for csv in csvs if _is_packageserver(csv)]
    if not found:
        return ""
    names = ", ".join(sorted(csv["metadata"]["name"] for csv in found))
    if len(found) > 1:
        raise PrerequisiteError(
            "find the installed OLM version",
            found=f"several ClusterServiceVersions of packageserver: {names}",
            expected="one",
            next_step="Finish or undo the OLM upgrade that left two of them.",
        )
    version = _version_of(found[0])
    if not version:
        raise PrerequisiteError(
            "find the installed OLM version",
            f"ClusterServiceVersion {names}",
            "the label olm.version or spec.version",
            "neither",
            "Restore the packageserver ClusterServiceVersion of the OLM release that is installed.",
        )
    return version


def _is_packageserver(csv: Manifest) -> bool:
    name = str(csv["metadata"]["name"])
    copied = _COPIED_FROM in (csv["metadata"].get("labels") or {})
    return not copied and (name == _PACKAGESERVER or name.startswith(f"{_PACKAGESERVER}."))


def _version_of(csv: Manifest) -> str:
    label = (csv["metadata"].get("labels") or {}).get("olm.version")
    from_name = csv["metadata"]["name"].removeprefix(_PACKAGESERVER).removeprefix(".")
    version = label or (csv.get("spec") or {}).get("version") or from_name
    return str(version).removeprefix("v")


_Judgement = tuple[HealthState, str]


def _exists(_live: Manifest) -> _Judgement:
    return HealthState.HEALTHY, ""


def _crd(live: Manifest) -> _Judgement:
    """Established and NamesAccepted (apiextensions.k8s.io/v1, CustomResourceDefinitionConditionType)."""
    names, established = condition_of(live, "NamesAccepted"), condition_of(live, "Established")
    if names.is_false:
        return HealthState.UNHEALTHY, names.explanation()
    if established.is_true and names.is_true:
        return HealthState.HEALTHY, "Established"
    return HealthState.PROGRESSING, established.explanation() or "not Established yet"


def _deployment(live: Manifest) -> _Judgement:
    """As kubectl judges a rollout (k8s.io/kubectl, pkg/polymorphichelpers/rollout_status.go), but stricter.

    A Deployment whose pods fail after a complete rollout is unhealthy too.
    """
    status = live.get("status") or {}
    progressing = condition_of(live, "Progressing")
    failure = condition_of(live, "ReplicaFailure")
    if failure.is_true:
        return HealthState.UNHEALTHY, failure.explanation()
    if progressing.reason == "ProgressDeadlineExceeded":
        return HealthState.UNHEALTHY, progressing.explanation()
    wanted = _replicas(live)
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
        return HealthState.PROGRESSING, "the controller has not seen the last change yet"
    counts = f"{status.get('availableReplicas', 0)} of {wanted} replicas available"
    if _rolled_out(status, wanted):
        return HealthState.HEALTHY, counts
    available = condition_of(live, "Available")
    if progressing.reason == "NewReplicaSetAvailable" and available.is_false:
        return HealthState.UNHEALTHY, f"{counts}, although the rollout was complete once"
    return HealthState.PROGRESSING, counts


def _replicas(deployment: Manifest) -> int:
    replicas = deployment["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _rolled_out(status: Mapping[str, Any], wanted: int) -> bool:
    updated = status.get("updatedReplicas", 0)
    none_outdated = updated >= wanted and status.get("replicas", 0) <= updated
    return bool(none_outdated and status.get("availableReplicas", 0) >= updated)


def _csv(live: Manifest) -> _Judgement:
    """By phase (operators.coreos.com/v1alpha1, ClusterServiceVersionPhase)."""
    status = live.get("status") or {}
    phase = status.get("phase") or "no phase yet"
    reason = _explanation(status)
    match phase:
        case "Succeeded":
            return HealthState.HEALTHY, phase
        case "Failed":
            return HealthState.UNHEALTHY, f"{phase}: {reason}"
        case _:
            return HealthState.PROGRESSING, f"{phase}: {reason}" if reason else phase


def _explanation(status: Mapping[str, Any]) -> str:
    return Condition("", reason=status.get("reason") or "", message=status.get("message") or "").explanation()


def _api_service(live: Manifest) -> _Judgement:
    available = condition_of(live, "Available")
    if available.is_true:
        return HealthState.HEALTHY, "Available"
    state = HealthState.UNHEALTHY if available.is_false else HealthState.PROGRESSING
    return state, available.explanation() or "not judged by the API server yet"


def _namespace(live: Manifest) -> _Judgement:
    phase = (live.get("status") or {}).get("phase", "")
    if phase == "Active":
        return HealthState.HEALTHY, phase
    return HealthState.UNHEALTHY if phase else HealthState.PROGRESSING, phase or "no phase yet"


def _catalog_source(live: Manifest) -> _Judgement:
    """By the gRPC connectivity state that catalog-operator saw last."""
    status = live.get("status") or {}
    state = (status.get("connectionState") or {}).get("lastObservedState", "")
    reason = _explanation(status)
    if state == "READY":
        return HealthState.HEALTHY, state
    if state in ("TRANSIENT_FAILURE", "SHUTDOWN") or reason:
        return HealthState.UNHEALTHY, ": ".join(filter(None, (state, reason)))
    return HealthState.PROGRESSING, state or "no connection yet"


def _operator_group(live: Manifest) -> _Judgement:
    several = condition_of(live, "MultipleOperatorGroup")
    if several.is_true:
        return HealthState.UNHEALTHY, several.explanation()
    if not (live.get("status") or {}).get("lastUpdated"):
        return HealthState.PROGRESSING, "olm-operator has not looked at it yet"
    return HealthState.HEALTHY, ""


_JUDGES: Mapping[str, Callable[[Manifest], _Judgement]] = {
    "APIService": _api_service,
    "CatalogSource": _catalog_source,
    "ClusterServiceVersion": _csv,
    "CustomResourceDefinition": _crd,
    "Deployment": _deployment,
    "Namespace": _namespace,
    "OperatorGroup": _operator_group,
}
