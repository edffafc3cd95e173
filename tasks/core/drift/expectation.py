"""What a cluster should hold: the manifests that install-fleet writes and has OLM write (R2, R4–R7, R11)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from tasks.core.bundles import Bundle
from tasks.core.catalogs import (
    CatalogPlace,
    CatalogServer,
    address_catalog_source,
    catalog_objects,
    render_catalog,
)
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.webhook_secrets import STAGING_SECRET
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, ObjectRef, ref_of, sha256_hex
from tasks.core.namespaces import namespace_manifest
from tasks.core.olm_release import OlmManifests
from tasks.core.ownership import marked_as_ours
from tasks.core.profiles import ObjectOrigin, OperatorProfile

CRD_KIND = "CustomResourceDefinition"
CSV_KIND = "ClusterServiceVersion"
LARGE_KINDS = frozenset({CRD_KIND, "ConfigMap"})
"""Their objects are most of what a verification reads: schemas, and the catalog with the whole bundle."""
_OLM_MOUNTS = frozenset({"/apiserver.local.config/certificates", "/tmp/k8s-webhook-server/serving-certs"})  # noqa: S108 - paths in the operator's container
"""OLM replaces mounts of these paths by its own (pkg/controller/install/certresources.go)."""


@dataclass(frozen=True)
class Limits:
    """From how many days before its end something counts as expiring.

    Attributes:
        warn: From then on it is a warning.
        critical: From then on it is critical.
    """

    warn: timedelta = timedelta(days=30)
    critical: timedelta = timedelta(days=7)


class Expectation:
    """Everything that one cluster should hold.

    Not a dataclass: Prefect walks through dataclasses in task arguments, and these are megabytes of JSON.

    Args:
        profile: The operator.
        bundle: Its release.
        installation: Its names in OLM.
        catalog: What serves the bundle, or the address of a catalog that runs already.
        olm: The OLM release.
        metrics_server: Manifests, or None when it is not part of the installation.
        authorities: The certificates of the CA that should have issued the webhook's; empty: any.
        limits: When something counts as expiring.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one per source of what should be there
        self,
        profile: OperatorProfile,
        bundle: Bundle,
        installation: Installation,
        catalog: CatalogServer | str,
        olm: OlmManifests,
        metrics_server: list[Manifest] | None = None,
        authorities: tuple[Certificate, ...] = (),
        limits: Limits = Limits(),
    ) -> None:
        self.profile = profile
        self.bundle = bundle
        self.installation = installation
        self.olm = olm
        self.authorities = authorities
        self.limits = limits
        self.metrics_server = tuple(map(marked_as_ours, metrics_server or ()))
        self.catalog = tuple(_catalog(bundle, installation, catalog))
        self.operator = tuple(_operator(self))
        self.made_by_olm = tuple(_made_by_olm(self))
        self.large_digest = _digest_of_large(self)

    @property
    def namespace(self) -> str:
        """The operator's namespace."""
        return self.installation.namespace

    def manifests(self) -> Iterator[Manifest]:
        """Every object with a manifest, the metrics server and what may be adopted aside."""
        yield from self.olm.crds
        yield from self.olm.objects
        yield namespace_manifest(self.namespace, self.bundle.csv)
        yield from self.catalog
        yield from self.operator
        yield from self.made_by_olm

    def required_data(self) -> tuple[ObjectRef, ...]:
        """Secrets and ConfigMaps that the operator's pods refer to."""
        return tuple(ObjectRef("v1", one.kind, one.name, self.namespace) for one in self.profile.objects)

    def large(self) -> tuple[ObjectRef, ...]:
        """The objects of `LARGE_KINDS`."""
        refs = (*refs_of(self.manifests()), *self.required_data())
        return tuple(dict.fromkeys(ref for ref in refs if ref.kind in LARGE_KINDS))

    def secret_names(self) -> tuple[str, ...]:
        """The Secrets of the operator's namespace that are read, by name: none is ever listed."""
        named = (wanted.name for wanted in self.profile.objects if wanted.kind == "Secret")
        bundled = (one["metadata"]["name"] for one in self.bundle.objects if one["kind"] == "Secret")
        return tuple(dict.fromkeys((self.profile.certificate_secret, STAGING_SECRET, *named, *bundled)))


def _digest_of_large(expected: Expectation) -> str:
    """SHA-256 of everything that objects of `LARGE_KINDS` are compared with."""
    manifests = [one for one in expected.manifests() if one["kind"] in LARGE_KINDS]
    keys = [(one.kind, one.name, one.data_keys) for one in expected.profile.objects]
    return sha256_hex(json.dumps([manifests, keys], sort_keys=True).encode())


def _without_mounts(spec: Manifest) -> Manifest:
    """A Deployment's spec without the mounts that OLM puts its certificate's in the place of."""
    pod = spec["template"]["spec"]
    containers = [_without_certificates(container) for container in pod["containers"]]
    return {**spec, "template": {**spec["template"], "spec": {**pod, "containers": containers}}}


def _without_certificates(container: Manifest) -> Manifest:
    mounts = container.get("volumeMounts") or []
    return {**container, "volumeMounts": [one for one in mounts if one["mountPath"] not in _OLM_MOUNTS]}


def refs_of(manifests: Iterable[Manifest]) -> tuple[ObjectRef, ...]:
    """The names of manifests."""
    return tuple(ref_of(manifest) for manifest in manifests)


def _catalog(bundle: Bundle, installation: Installation, server: CatalogServer | str) -> list[Manifest]:
    place = CatalogPlace(installation.namespace, installation.catalog)
    if isinstance(server, str):
        return [address_catalog_source(place, server)]
    return catalog_objects(render_catalog(bundle), place, server, f"{bundle.name} by osok-fleet")


def _operator(expected: Expectation) -> Iterator[Manifest]:
    """The bundle as OLM writes it into the operator's namespace."""
    for manifest in (expected.bundle.csv, *expected.bundle.objects):
        if manifest["kind"] == CRD_KIND:
            yield manifest
        else:
            yield _in_namespace(manifest, expected.namespace)


def _in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def _made_by_olm(expected: Expectation) -> Iterator[Manifest]:
    """What OLM makes of ClusterServiceVersions: Deployments, and the Service in front of the webhooks."""
    profile, namespace = expected.profile, expected.namespace
    csvs = [one for one in expected.olm.objects if one["kind"] == CSV_KIND]
    for csv in (*csvs, _in_namespace(expected.bundle.csv, namespace)):
        for deployment in csv["spec"]["install"]["spec"].get("deployments") or []:
            yield {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {
                    "name": deployment["name"],
                    "namespace": csv["metadata"]["namespace"],
                    "labels": deployment.get("label") or {},
                },
                "spec": _without_mounts(deployment["spec"]),
            }
    for service in profile.services:
        if service.origin is ObjectOrigin.OLM:
            ports = [{"port": service.port, "targetPort": service.target_port}]
            yield {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": service.name, "namespace": namespace},
                "spec": {"selector": dict(profile.pod_labels), "ports": ports},
            }
