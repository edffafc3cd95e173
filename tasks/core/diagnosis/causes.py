"""Why an installation does not move: kinds of causes, from the most to the least telling, and their texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.manifests import ObjectRef

_EVIDENCE_LIMIT = 500


class CauseKind(StrEnum):
    """What can be wrong; a kind further up explains those below it, so it is told first."""

    OLM_UNHEALTHY = "OLM_UNHEALTHY"
    """OLM's own operators do not run, so nobody moves anything."""
    SEVERAL_OPERATOR_GROUPS = "SEVERAL_OPERATOR_GROUPS"
    NO_OPERATOR_GROUP = "NO_OPERATOR_GROUP"
    UNSUPPORTED_OPERATOR_GROUP = "UNSUPPORTED_OPERATOR_GROUP"
    POD_SECURITY = "POD_SECURITY"
    POD_NOT_CREATED = "POD_NOT_CREATED"
    """A pod could not be created for another reason (quota, another admission webhook)."""
    UNSCHEDULABLE = "UNSCHEDULABLE"
    IMAGE_PULL = "IMAGE_PULL"
    MISSING_CONFIGURATION = "MISSING_CONFIGURATION"
    """A Secret or ConfigMap that the pod refers to is not there, or lacks a key."""
    CATALOG_CRASH_LOOP = "CATALOG_CRASH_LOOP"
    OPERATOR_CRASH_LOOP = "OPERATOR_CRASH_LOOP"
    CRD_OWNER_CONFLICT = "CRD_OWNER_CONFLICT"
    """Another operator provides the same APIs, or its CRDs do not go together with the bundle's."""
    OTHER_CATALOG_UNREACHABLE = "OTHER_CATALOG_UNREACHABLE"
    """OLM resolves nothing in a namespace as long as one of the catalogs that it looks at is unreachable."""
    BUNDLE_UNPACK_FAILED = "BUNDLE_UNPACK_FAILED"
    CATALOG_UNREACHABLE = "CATALOG_UNREACHABLE"
    NOT_IN_CATALOG = "NOT_IN_CATALOG"
    FOREIGN_INSTALL_PLAN = "FOREIGN_INSTALL_PLAN"
    PLAN_WITHOUT_STATUS = "PLAN_WITHOUT_STATUS"
    """Approved before OLM 0.20 had written its status: it hangs for ever."""
    INSTALL_PLAN_FAILED = "INSTALL_PLAN_FAILED"
    REQUIREMENT_NOT_MET = "REQUIREMENT_NOT_MET"
    PROGRESS_DEADLINE = "PROGRESS_DEADLINE"
    SHARED_SERVICE_SELECTOR = "SHARED_SERVICE_SELECTOR"
    CSV_FAILED = "CSV_FAILED"
    RESOLUTION_FAILED = "RESOLUTION_FAILED"
    OLM_SILENT = "OLM_SILENT"
    """OLM has written nothing about the Subscription."""
    STILL_WAITING = "STILL_WAITING"
    """Nothing reports an error; this is what the ClusterServiceVersion says that it waits for."""


_RANK = {kind: position for position, kind in enumerate(CauseKind)}


@dataclass(frozen=True)
class Cause:
    """One cause that was found in the cluster.

    Attributes:
        kind: What is wrong.
        subject: The object that it was read off.
        evidence: The object's own words.
        next_step: What a person should do.
    """

    kind: CauseKind
    subject: ObjectRef
    evidence: str
    next_step: str

    def summary(self) -> str:
        """One sentence for an error or a log."""
        evidence = self.evidence
        if len(evidence) > _EVIDENCE_LIMIT:
            evidence = f"{evidence[:_EVIDENCE_LIMIT]}…"
        return f"{self.kind}: {self.subject}: {evidence}"


def ranked(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """The causes, most telling first, each kind once for each object."""
    first: dict[tuple[CauseKind, ObjectRef], Cause] = {}
    for cause in causes:
        first.setdefault((cause.kind, cause.subject), cause)
    return tuple(sorted(first.values(), key=lambda cause: (_RANK[cause.kind], cause.subject)))
