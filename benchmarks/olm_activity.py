"""What OLM and the pipeline did meanwhile, read from the API server's audit log."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.programs import OlmVersion
from tasks.core.profiles import OperatorProfile

_OLM = "system:serviceaccount:olm:olm-operator-serviceaccount"
_FLEET = "system:serviceaccount:osok-fleet:"
_CONFIGURATIONS = frozenset({"validatingwebhookconfigurations", "mutatingwebhookconfigurations"})
_ONE_LOOK = timedelta(seconds=3)
"""One look of OLM at a ClusterServiceVersion lists the configurations of each of its webhooks, a dozen."""


class RotationStep(StrEnum):
    """What the pipeline wrote."""

    SECRET = "Secret"  # noqa: S105 - the kind, not a password
    CA_BUNDLES = "caBundles"
    TAKEOVER = "ClusterServiceVersion"


@dataclass(frozen=True)
class StepWrite:
    """A write of the pipeline."""

    step: RotationStep
    at: datetime


@dataclass(frozen=True)
class Activity:
    """One stretch of the audit log.

    Attributes:
        steps: The pipeline's writes, oldest first.
        looks: When OLM looked at the operator's ClusterServiceVersion.
        installs: When OLM wrote its Service, which it does at each run of its installer and at no other time.
        rollouts: How often the Deployment got other pods.
    """

    steps: tuple[StepWrite, ...]
    looks: tuple[datetime, ...]
    installs: tuple[datetime, ...]
    rollouts: int

    @property
    def looks_between(self) -> tuple[datetime, ...]:
        """OLM's looks after the first of the steps and before the one that asks OLM to come."""
        asked = [write.at for write in self.steps if write.step is RotationStep.TAKEOVER]
        return tuple(
            at for at in self.looks if self.steps and self.steps[0].at < at and not (asked and asked[0] < at)
        )

    def step_before(self, at: datetime) -> str:
        """The last step before a moment, numbered within the steps of its kind."""
        before = [write for write in self.steps if write.at <= at]
        if not before:
            return "the first step"
        same = [write for write in before if write.step is before[-1].step]
        return f"{before[-1].step} write {len(same)}"


def read_activity(requests: Iterable[AuditedRequest], profile: OperatorProfile, olm: OlmVersion) -> Activity:
    """What matters of the requests."""
    found = list(requests)
    ours = [one for one in found if one.user.startswith(_FLEET) and one.changes_something]
    of_olm = [one for one in found if one.user == _OLM]
    looks = (one.at for one in of_olm if one.verb == "list" and _is_look(one, profile))
    return Activity(
        steps=tuple(write for one in ours if (write := _step(one, profile))),
        looks=together(looks, _ONE_LOOK),
        installs=tuple(one.at for one in of_olm if _is_install(one, profile, olm)),
        rollouts=sum(_is_rollout(one, profile) for one in found),
    )


def together(moments: Iterable[datetime], within: timedelta) -> tuple[datetime, ...]:
    """The first moment of each group whose members follow each other closely."""
    groups: list[datetime] = []
    last: datetime | None = None
    for at in sorted(moments):
        if last is None or at - last > within:
            groups.append(at)
        last = at
    return tuple(groups)


def _is_look(request: AuditedRequest, profile: OperatorProfile) -> bool:
    package = profile.csv_name_for(profile.release.default_version)
    return request.resource in _CONFIGURATIONS and f"olm.owner%3D{package}" in request.path


def _is_install(request: AuditedRequest, profile: OperatorProfile, olm: OlmVersion) -> bool:
    if not request.changes_something or request.resource != "services":
        return False
    if olm is OlmVersion.V0_20_0:
        # It deletes the Service and creates it again; the name is in the body, which the log does not have.
        return request.verb == "create" and request.namespace == profile.namespace
    return request.verb == "patch" and request.name == profile.olm_service


def _is_rollout(request: AuditedRequest, profile: OperatorProfile) -> bool:
    made = (request.verb, request.resource) == ("create", "replicasets") and request.changes_something
    return made and request.namespace == profile.namespace


def _step(request: AuditedRequest, profile: OperatorProfile) -> StepWrite | None:
    if request.resource == "secrets" and request.name == profile.certificate_secret:
        return StepWrite(RotationStep.SECRET, request.at)
    if request.resource in _CONFIGURATIONS and request.verb == "patch":
        return StepWrite(RotationStep.CA_BUNDLES, request.at)
    if request.resource == "clusterserviceversions" and request.subresource == "status":
        return StepWrite(RotationStep.TAKEOVER, request.at)
    return None
