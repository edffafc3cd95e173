"""All that has to be read from a cluster to verify the operator, and all its checks in one call (R8-R10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tasks.core.manifests import Manifest
from tasks.core.profiles import OperatorProfile
from tasks.core.verification.crds import check_crds
from tasks.core.verification.findings import Finding
from tasks.core.verification.serving import (
    check_deployment,
    check_required_objects,
    check_service_selectors,
    check_services,
)
from tasks.core.verification.trust import check_ca_bundles
from tasks.core.verification.webhooks import check_webhooks


@dataclass(frozen=True)
class OperatorObservation:
    """What was read from one cluster about one operator.

    Attributes:
        namespace: The namespace that it runs in.
        crds: The cluster's CRDs by name; the profile's are enough.
        configurations: All Validating- and MutatingWebhookConfigurations of the cluster.
        ca: The CA in the certificate Secret (`published_ca`); the Secret itself never comes in here.
        deployment: The operator's Deployment.
        services: The namespace's Services by name.
        slices: The namespace's EndpointSlices.
        pods: The namespace's pods.
        objects: The keys of the namespace's Secrets and ConfigMaps, by kind and name; never their values.
    """

    namespace: str
    crds: Mapping[str, Manifest]
    configurations: tuple[Manifest, ...]
    ca: bytes | None
    deployment: Manifest | None
    services: Mapping[str, Manifest]
    slices: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    objects: Mapping[tuple[str, str], frozenset[str]]


def verify_objects(
    profile: OperatorProfile, observed: OperatorObservation, now: datetime
) -> tuple[Finding, ...]:
    """All checks that need no call through the API server; passed ones are listed too.

    Args:
        profile: The operator.
        observed: What the cluster holds.
        now: The time at which CAs have to be valid, with a time zone.
    """
    namespace = observed.namespace
    return (
        *check_crds(profile, observed.crds),
        *check_webhooks(profile, namespace, observed.configurations, observed.crds),
        *check_ca_bundles(profile, observed.configurations, observed.ca, now),
        check_deployment(profile, namespace, observed.deployment),
        *check_services(profile, namespace, observed.services, observed.slices),
        *check_service_selectors(profile, namespace, observed.services, observed.pods),
        *check_required_objects(profile, namespace, observed.objects),
    )
