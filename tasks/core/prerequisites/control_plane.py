"""The control plane of OCI Service Mesh, which Oracle retired in 2025."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.prerequisites.findings import Check, CheckGroup, Finding


class Reach(StrEnum):
    """How far a probe of the control plane's address came."""

    NO_SUCH_NAME = "NO_SUCH_NAME"
    NO_CONNECTION = "NO_CONNECTION"
    ANSWERED = "ANSWERED"


@dataclass(frozen=True)
class ControlPlaneProbe:
    """What a probe of `servicemesh.<region>.oci.<domain>` found.

    Attributes:
        host: The host that was asked.
        reach: How far it came.
        http_status: The status of the answer; 0 without one.
    """

    host: str
    reach: Reach
    http_status: int = 0


_STILL_WORKS = (
    "What still works: installing the operator, its nine kinds and ten webhooks, and its other services. "
    "What does not: a Mesh never becomes Active, and finalizers then hold deletion."
)
_INSTEAD = "For a mesh, use the Istio add-on of OKE. Keep OSOK 1.1.9 pinned: 2.x has no Service Mesh."


def check_control_plane(probe: ControlPlaneProbe) -> Finding:
    """Say plainly whether Service Mesh is there; its absence is a warning, not a refusal."""
    check = Check(CheckGroup.CONTROL_PLANE, "R23", "control plane of Service Mesh", _evidence(probe))
    match probe.reach:
        case Reach.NO_SUCH_NAME:
            return check.warned(f"OCI Service Mesh is retired: its name is gone. {_STILL_WORKS}", _INSTEAD)
        case Reach.NO_CONNECTION:
            reason = "its name is known but nothing answers: retired, or blocked on the way from here"
            return check.unknown(f"{reason}. {_STILL_WORKS}", _INSTEAD)
        case Reach.ANSWERED if probe.http_status == 200:  # noqa: PLR2004 - HTTP
            return check.passed()
        case Reach.ANSWERED:
            reason = "it answers, but not with meshes: no permission, or retired behind its address"
            return check.unknown(f"{reason}. {_STILL_WORKS}", _INSTEAD)


def _evidence(probe: ControlPlaneProbe) -> str:
    status = f" HTTP {probe.http_status}" if probe.http_status else ""
    return f"{probe.host}: {probe.reach.value}{status}"
