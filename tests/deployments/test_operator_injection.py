"""When the pod injector changes a pod (R10)."""

from collections.abc import Mapping
from typing import Any

import pytest

from deployments.rehearsal.operator.admission import Request, Verdict
from deployments.rehearsal.operator.injection import FALLBACK_PROXY_IMAGE, inject

LABEL = "servicemesh.oci.oracle.com/sidecar-injection"
NAMESPACE = "/api/v1/namespaces/shop"
SERVICE = "/api/v1/namespaces/shop/services/web"
BINDINGS = "/apis/servicemesh.oci.oracle.com/v1beta1/virtualdeploymentbindings"
CONFIG = "/api/v1/namespaces/oci-service-operator-system/configmaps/oci-service-operator-servicemesh-config"

Objects = dict[str, Any]


def _pod(labels: Mapping[str, str] | None = None, **spec: Any) -> Request:  # noqa: ANN401 - any JSON
    metadata = {"name": "web", "labels": {"app": "web", **(labels or {})}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "web"}], **spec}}
    return Request("u", "CREATE", "shop", "web", pod, {})


def _active_binding() -> Objects:
    target = {"service": {"ref": {"name": "web"}}}
    conditions = [{"status": "True"}, {"status": "True"}]
    return {
        "metadata": {"namespace": "shop"},
        "spec": {"target": target},
        "status": {"conditions": conditions},
    }


@pytest.fixture
def cluster() -> Objects:
    """The objects of a mesh that takes part, by path."""
    return {
        NAMESPACE: {"metadata": {"labels": {LABEL: "enabled"}}},
        SERVICE: {"spec": {"selector": {"app": "web"}}},
        BINDINGS: {"items": [_active_binding()]},
        CONFIG: {"data": {"SIDECAR_IMAGE": "proxy:7"}},
    }


def _added(verdict: Verdict) -> list[str]:
    values = [each["value"] for each in verdict.patch]
    return [
        container["name"] for value in values for container in (value if type(value) is list else [value])
    ]


def test_injects_the_init_container_and_the_proxy(cluster: Objects) -> None:
    verdict = inject(_pod(), cluster.get)

    assert _added(verdict) == ["init", "oci-sm-proxy"]
    assert [each["path"] for each in verdict.patch] == ["/spec/initContainers", "/spec/containers/-"]
    assert verdict.patch[1]["value"]["image"] == "proxy:7"


def test_appends_to_init_containers_that_are_there(cluster: Objects) -> None:
    verdict = inject(_pod(initContainers=[{"name": "own"}]), cluster.get)

    assert verdict.patch[0]["path"] == "/spec/initContainers/-"


@pytest.mark.parametrize(
    ("namespace", "pod", "injected"),
    [
        ("enabled", "", True),
        ("enabled", "enabled", True),
        ("enabled", "disabled", False),
        ("disabled", "enabled", True),
        ("disabled", "", False),
        ("", "enabled", False),
    ],
)
def test_namespace_and_pod_decide_together(
    namespace: str,
    pod: str,
    injected: bool,  # noqa: FBT001 - a table
    cluster: Objects,
) -> None:
    cluster[NAMESPACE] = {"metadata": {"labels": {LABEL: namespace} if namespace else {}}}

    verdict = inject(_pod({LABEL: pod} if pod else {}), cluster.get)

    assert bool(verdict.patch) is injected
    assert verdict.denial == ""


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (BINDINGS, None),
        (BINDINGS, {"items": []}),
        (BINDINGS, {"items": [{**_active_binding(), "status": {}}]}),
        (BINDINGS, {"items": [{**_active_binding(), "status": {"conditions": [{"status": "True"}]}}]}),
        (BINDINGS, {"items": [{**_active_binding(), "metadata": {"namespace": "elsewhere"}}]}),
        (SERVICE, None),
        (SERVICE, {"spec": {"selector": {"app": "other"}}}),
        (NAMESPACE, None),
    ],
)
def test_leaves_a_pod_alone_that_no_active_binding_selects(
    path: str, content: Objects | None, cluster: Objects
) -> None:
    cluster[path] = content

    verdict = inject(_pod(), cluster.get)

    assert verdict == Verdict()


def test_refuses_the_pod_when_nobody_knows_the_proxys_image(cluster: Objects) -> None:
    cluster[CONFIG] = {}

    verdict = inject(_pod(), cluster.get)

    assert verdict.code == 500
    assert "sidecar image" in verdict.denial


def test_without_an_api_server_the_pods_own_mark_decides() -> None:
    assert _added(inject(_pod({LABEL: "enabled"}), None)) == ["init", "oci-sm-proxy"]
    assert inject(_pod({LABEL: "enabled"}), None).patch[0]["value"][0]["image"] == FALLBACK_PROXY_IMAGE
    assert inject(_pod(), None) == Verdict()
