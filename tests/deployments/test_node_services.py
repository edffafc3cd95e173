"""Which pods are behind a Service, and on which port."""

from typing import Any

import pytest

from deployments.rehearsal.node.services import (
    ServicePort,
    container_port,
    host_names,
    selects,
    service_ports,
)
from tasks.core.manifests import Manifest


def _service(**spec: Any) -> Manifest:  # noqa: ANN401 - any JSON
    defaults = {"clusterIP": "127.66.0.9", "ports": [{"port": 443, "targetPort": 9443}]}
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": {**defaults, **spec}}


def _pod(**labels: str) -> Manifest:
    ports = [{"name": "https", "containerPort": 8443}]
    return {
        "metadata": {"name": "p", "namespace": "shop", "labels": labels},
        "spec": {"containers": [{"name": "c", "ports": ports}]},
    }


def test_every_tcp_port_has_an_address() -> None:
    service = _service(ports=[{"port": 80}, {"port": 443, "targetPort": "https"}])

    assert list(service_ports(service)) == [
        ServicePort("shop", "web", "127.66.0.9", 80, 80),
        ServicePort("shop", "web", "127.66.0.9", 443, "https"),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName"},
        {"ports": [{"port": 53, "protocol": "UDP"}]},
    ],
)
def test_other_services_have_none(spec: dict[str, Any]) -> None:
    assert list(service_ports(_service(**spec))) == []


def test_a_selector_needs_all_of_its_labels() -> None:
    service = _service(selector={"app": "web", "tier": "front"})

    assert selects(service, _pod(app="web", tier="front", more="x"))
    assert not selects(service, _pod(app="web"))


def test_a_service_without_a_selector_has_no_pods() -> None:
    assert not selects(_service(), _pod(app="web"))


def test_a_service_selects_in_its_own_namespace_only() -> None:
    service = _service(selector={"app": "web"})
    service["metadata"]["namespace"] = "elsewhere"

    assert not selects(service, _pod(app="web"))


def test_a_target_port_may_be_the_name_of_a_container_port() -> None:
    assert container_port(_pod(), 9443) == 9443
    assert container_port(_pod(), "https") == 8443
    assert container_port(_pod(), "metrics") is None


def test_host_names_are_fully_qualified() -> None:
    assert host_names([_service()]) == {"web.shop.svc.cluster.local": "127.66.0.9"}
