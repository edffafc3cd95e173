"""The catalog that offers one bundle to OLM without an unpack Job or an index image (design decision 7).

A file-based catalog whose bundle has `image: ""` and its manifests inline makes OLM write them straight into
the InstallPlan: operator-registry pkg/cache, OLM pkg/controller/registry/resolver (BundlePath == "").
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.bundle_rules import owned_custom_resources
from tasks.core.bundles import Bundle
from tasks.core.errors import InputError, ManifestError
from tasks.core.manifests import Manifest, sha256_hex
from tasks.core.references import parse_reference

MANAGED_BY = {"app.kubernetes.io/managed-by": "osok-fleet"}
"""The label on everything this product makes in a cluster."""
GRPC_PORT = 50051
"""The registry API's port. OLM 0.46 lets its catalog operator reach no other one (NetworkPolicy)."""
MAX_CONFIG_MAP_BYTES = 1024 * 1024
"""All keys and values of a ConfigMap together (Kubernetes: MaxSecretSize, 1 MiB)."""
CATALOG_SHA256 = "osok-fleet/catalog-sha256"
"""Pod template annotation: another catalog makes other pods, because a subPath mount is never refreshed."""

_FILE_NAME = "catalog.json"
_FOLDER = "/configs"
_USER_ID = 1001
"""The user of the published opm images."""


@dataclass(frozen=True)
class CatalogPlace:
    """Where a catalog lives in a cluster.

    Attributes:
        namespace: Of the operator; a catalog there is seen by Subscriptions there only.
        name: Of the CatalogSource and of all objects behind it.
    """

    namespace: str
    name: str

    @property
    def address(self) -> str:
        """Where OLM finds the catalog server inside the cluster."""
        return f"{self.name}.{self.namespace}.svc:{GRPC_PORT}"


@dataclass(frozen=True)
class CatalogServer:
    """The program that serves the catalog.

    Attributes:
        image: An `opm` image with its digest.
        pull_secrets: Names of Secrets in the catalog's namespace for that image.
    """

    image: str
    pull_secrets: tuple[str, ...] = ()


def render_catalog(bundle: Bundle, replaces: str = "") -> str:
    """Write the file-based catalog (one JSON document per line); equal bundles give equal bytes.

    Args:
        bundle: What the catalog offers.
        replaces: Name of the installed ClusterServiceVersion that this one upgrades. Empty: as the bundle
            says.
    """
    documents = [_package(bundle), *_channels(bundle, replaces), _bundle(bundle)]
    return "".join(_compact(document) + "\n" for document in documents)


def catalog_objects(
    catalog: str, place: CatalogPlace, server: CatalogServer, display_name: str = ""
) -> list[Manifest]:
    """Everything a cluster needs to serve a rendered catalog, in the order to apply it.

    Raises:
        ManifestError: The catalog does not fit into one ConfigMap.
        InputError: The server's image is not pinned by digest.
    """
    if not parse_reference(server.image).digest:
        raise InputError("make the catalog", str(place.name), "an opm image with its digest", server.image)
    return [
        _config_map(catalog, place),
        _deployment(catalog, place, server),
        _service(place),
        address_catalog_source(place, place.address, display_name),
    ]


def address_catalog_source(place: CatalogPlace, address: str, display_name: str = "") -> Manifest:
    """A CatalogSource for a catalog server that runs under `host:port`; OLM starts no pod for it."""
    return _catalog_source(place, {"address": address}, display_name)


def image_catalog_source(
    place: CatalogPlace, image: str, pull_secrets: tuple[str, ...] = (), display_name: str = ""
) -> Manifest:
    """A CatalogSource for a catalog image; OLM starts the pod, under restricted PodSecurity."""
    spec: Manifest = {"image": image, "grpcPodConfig": {"securityContextConfig": "restricted"}}
    if pull_secrets:
        spec["secrets"] = list(pull_secrets)
    return _catalog_source(place, spec, display_name)


def _package(bundle: Bundle) -> Manifest:
    return {"schema": "olm.package", "name": bundle.package, "defaultChannel": bundle.default_channel}


def _channels(bundle: Bundle, replaces: str) -> list[Manifest]:
    entry = {"name": bundle.name, **_upgrade_edges(bundle, replaces)}
    return [
        {"schema": "olm.channel", "package": bundle.package, "name": channel, "entries": [entry]}
        for channel in bundle.channels
    ]


def _upgrade_edges(bundle: Bundle, replaces: str) -> Manifest:
    spec = bundle.csv["spec"]
    edges = {
        "replaces": replaces or spec.get("replaces"),
        "skips": spec.get("skips"),
        "skipRange": (bundle.csv["metadata"].get("annotations") or {}).get("olm.skipRange"),
    }
    return {key: value for key, value in edges.items() if value}


def _bundle(bundle: Bundle) -> Manifest:
    properties = [
        {"type": "olm.package", "value": _package_version(bundle)},
        *({"type": "olm.gvk", "value": value} for value in _provided_apis(bundle)),
        *({"type": "olm.gvk.required", "value": value} for value in _required_apis(bundle)),
        *bundle.dependencies,
        *({"type": "olm.bundle.object", "value": {"data": _encoded(item)}} for item in bundle.manifests),
    ]
    return {
        "schema": "olm.bundle",
        "name": bundle.name,
        "package": bundle.package,
        "image": "",
        "properties": properties,
    }


def _package_version(bundle: Bundle) -> Manifest:
    return {"packageName": bundle.package, "version": bundle.version.removeprefix("v")}


def _provided_apis(bundle: Bundle) -> list[Manifest]:
    return [_gvk(entry) for entry in owned_custom_resources(bundle.csv)]


def _required_apis(bundle: Bundle) -> list[Manifest]:
    entries = (bundle.csv["spec"].get("customresourcedefinitions") or {}).get("required") or []
    return [_gvk(entry) for entry in entries]


def _gvk(entry: Mapping[str, str]) -> Manifest:
    # A CustomResourceDefinition's name is <plural>.<group>.
    group = entry["name"].partition(".")[2]
    return {"group": group, "kind": entry["kind"], "version": entry["version"]}


def _encoded(manifest: Manifest) -> str:
    return base64.b64encode(_compact(manifest).encode()).decode()


def _compact(document: Manifest) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _metadata(place: CatalogPlace) -> Manifest:
    return {"name": place.name, "namespace": place.namespace, "labels": _labels(place)}


def _labels(place: CatalogPlace) -> dict[str, str]:
    return {**MANAGED_BY, **_selector(place)}


def _selector(place: CatalogPlace) -> dict[str, str]:
    return {"app.kubernetes.io/component": "catalog", "app.kubernetes.io/name": place.name}


def _config_map(catalog: str, place: CatalogPlace) -> Manifest:
    size = len(catalog.encode()) + len(_FILE_NAME)
    if size > MAX_CONFIG_MAP_BYTES:
        raise ManifestError(
            "make the catalog",
            f"ConfigMap {place.namespace}/{place.name}",
            f"at most {MAX_CONFIG_MAP_BYTES} bytes",
            f"{size} bytes",
            "Serve the bundle from a catalog of your own: give its address or image instead.",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(place),
        "data": {_FILE_NAME: catalog},
    }


def _deployment(catalog: str, place: CatalogPlace, server: CatalogServer) -> Manifest:
    template = {
        "metadata": {"labels": _labels(place), "annotations": {CATALOG_SHA256: sha256_hex(catalog.encode())}},
        "spec": _pod(place, server),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(place),
        "spec": {"replicas": 1, "selector": {"matchLabels": _selector(place)}, "template": template},
    }


def _pod(place: CatalogPlace, server: CatalogServer) -> Manifest:
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(server)],
        "volumes": [
            {"name": "catalog", "configMap": {"name": place.name}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    secrets = [{"name": name} for name in server.pull_secrets]
    return {**pod, "imagePullSecrets": secrets} if secrets else pod


def _container(server: CatalogServer) -> Manifest:
    return {
        "name": "opm",
        "image": server.image,
        # The default profiling endpoint makes opm exit when its port is taken; nobody reads it.
        "args": ["serve", _FOLDER, "-p", str(GRPC_PORT), "--pprof-addr="],
        "ports": [{"name": "grpc", "containerPort": GRPC_PORT}],
        "readinessProbe": {"grpc": {"port": GRPC_PORT}, "periodSeconds": 2},
        "livenessProbe": {"grpc": {"port": GRPC_PORT}, "initialDelaySeconds": 10},
        "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            # opm loads every entry below its folder; a whole-volume mount has a second copy under `..data`.
            {"name": "catalog", "mountPath": f"{_FOLDER}/{_FILE_NAME}", "subPath": _FILE_NAME},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own emptyDir
        ],
    }


def _service(place: CatalogPlace) -> Manifest:
    ports = [{"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(place),
        "spec": {"selector": _selector(place), "ports": ports},
    }


def _catalog_source(place: CatalogPlace, source: Manifest, display_name: str) -> Manifest:
    titles = {"displayName": display_name or place.name, "publisher": "osok-fleet"}
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "CatalogSource",
        "metadata": _metadata(place),
        "spec": {"sourceType": "grpc", **titles, **source},
    }
