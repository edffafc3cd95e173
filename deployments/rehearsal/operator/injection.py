"""What the pod injector adds, and when: the mesh's init container and its proxy.

The real handler (pkg/servicemanager/servicemesh/k8s/webhook/pod_webhook.go at v1.1.9) is called for every pod
of the cluster, because OLM drops the webhook's namespaceSelector, and decides by itself: the Namespace has to
carry the injection label, a VirtualDeploymentBinding has to be active whose Service selects the pod, and the
mesh's ConfigMap has to name the proxy's image. This one decides the same, from the same objects.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployments.rehearsal.operator.admission import ALLOWED, Request, Verdict
from deployments.rehearsal.operator.kinds import INJECTION_LABEL, MESH_GROUP, MESH_VERSION

Json = Mapping[str, Any]
ReadObject = Callable[[str], Json | None]
"""Reads a path of the API server; None where nothing is."""

FALLBACK_PROXY_IMAGE = "rehearsal.invalid/oci-service-mesh-proxy:1"
"""The proxy's image when there is no ConfigMap to ask; nothing ever pulls it."""

_ENABLED = "enabled"
_DISABLED = "disabled"
_ACTIVE_CONDITIONS = 2
_BINDINGS_PATH = f"/apis/{MESH_GROUP}/{MESH_VERSION}/virtualdeploymentbindings"
# The real operator names its own namespace in a constant, wherever it is installed.
_CONFIG_PATH = (
    "/api/v1/namespaces/oci-service-operator-system/configmaps/oci-service-operator-servicemesh-config"
)


def inject(request: Request, read: ReadObject | None) -> Verdict:
    """Decide about a new pod.

    Without an API server to ask (`read` is None) the pod's own label, or an annotation of the same name, is
    all that counts: `enabled` injects.
    """
    metadata = _mapping(request.new.get("metadata"))
    labels = _mapping(metadata.get("labels"))
    spec = _mapping(request.new.get("spec"))
    if read is None:
        own = labels.get(INJECTION_LABEL, _mapping(metadata.get("annotations")).get(INJECTION_LABEL))
        return _injection(spec, FALLBACK_PROXY_IMAGE) if own == _ENABLED else ALLOWED
    if not _takes_part(read, request.namespace, labels):
        return ALLOWED
    binding = _binding_of(read, request.namespace, labels)
    if binding is None or not _is_active(binding):
        return ALLOWED
    image = _mapping((read(_CONFIG_PATH) or {}).get("data")).get("SIDECAR_IMAGE")
    if not image:
        return Verdict(denial="no sidecar image found in the config map", code=500)
    return _injection(spec, image)


def _takes_part(read: ReadObject, namespace: str, pod_labels: Json) -> bool:
    found = read(f"/api/v1/namespaces/{namespace}") or {}
    value = _mapping(_mapping(found.get("metadata")).get("labels")).get(INJECTION_LABEL)
    own = pod_labels.get(INJECTION_LABEL, "")
    return (value == _ENABLED and own in ("", _ENABLED)) or (value == _DISABLED and own == _ENABLED)


def _binding_of(read: ReadObject, namespace: str, pod_labels: Json) -> Json | None:
    for binding in (read(_BINDINGS_PATH) or {}).get("items", []):
        service = binding["spec"]["target"]["service"]
        target = service["ref"].get("namespace") or binding["metadata"]["namespace"]
        if target == namespace and _selects(service.get("matchLabels"), pod_labels):
            found = read(f"/api/v1/namespaces/{target}/services/{service['ref']['name']}")
            if found and _selects(found["spec"].get("selector"), pod_labels):
                return _mapping(binding)
    return None


def _selects(selector: object, labels: Json) -> bool:
    return all(labels.get(key) == value for key, value in _mapping(selector).items())


def _is_active(binding: Json) -> bool:
    conditions = _mapping(binding.get("status")).get("conditions") or []
    return len(conditions) == _ACTIVE_CONDITIONS and all(each.get("status") == "True" for each in conditions)


def _injection(spec: Json, image: str) -> Verdict:
    return Verdict(patch=tuple(_operations(spec, image)))


def _operations(spec: Json, image: str) -> Iterator[Json]:
    init = {
        "name": "init",
        "image": image,
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}, "runAsUser": 0, "runAsNonRoot": False},
    }
    proxy = {"name": "oci-sm-proxy", "image": image, "ports": [{"containerPort": 15006}]}
    yield _append(spec, "initContainers", init)
    yield _append(spec, "containers", proxy)


def _append(spec: Json, field: str, container: Json) -> Json:
    if spec.get(field):
        return {"op": "add", "path": f"/spec/{field}/-", "value": container}
    return {"op": "add", "path": f"/spec/{field}", "value": [container]}


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}
