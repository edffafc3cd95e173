"""The NetworkPolicies that OLM releases ship since pods of `olm` may talk to named ports only."""

from tasks.core.manifests import Manifest

_DNS = {"ports": [{"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("TCP", "UDP")]}
_GRPC = {"ports": [{"protocol": "TCP", "port": 50051}]}
_METRICS = {"ports": [{"protocol": "TCP", "port": "metrics"}]}
_API_SERVICE = {"ports": [{"protocol": "TCP", "port": 5443}]}
_ANYWHERE: Manifest = {}


def network_policies(namespace: str, operators_namespace: str) -> list[Manifest]:
    """All policies of a release: nothing is allowed in OLM's namespace but what its programs need."""
    catalog_pods = {"matchExpressions": [{"key": "olm.catalogSource", "operator": "Exists"}]}
    unpack_pods = {
        "matchExpressions": [
            {"key": "operatorframework.io/bundle-unpack-ref", "operator": "Exists"},
            {"key": "olm.managed", "operator": "In", "values": ["true"]},
        ]
    }
    return [
        _policy("default-deny-all-traffic", namespace, {}, policyTypes=["Ingress", "Egress"]),
        _both_ways("olm-operator", namespace, [_METRICS], [_ANYWHERE, _DNS]),
        _both_ways("catalog-operator", namespace, [_METRICS], [_ANYWHERE, _DNS, _GRPC]),
        _both_ways("packageserver", namespace, [_API_SERVICE], [_ANYWHERE, _DNS, _GRPC]),
        _policy(
            "default-allow-all",
            operators_namespace,
            {},
            policyTypes=["Ingress", "Egress"],
            ingress=[_ANYWHERE],
            egress=[_ANYWHERE],
        ),
        _policy(
            "olm-catalog-grpc-ingress", namespace, catalog_pods, policyTypes=["Ingress"], ingress=[_GRPC]
        ),
        _policy("bundle-unpack-egress", namespace, unpack_pods, policyTypes=["Egress"], egress=[_ANYWHERE]),
    ]


def _both_ways(app: str, namespace: str, ingress: list[Manifest], egress: list[Manifest]) -> Manifest:
    selector = {"matchLabels": {"app": app}}
    types = ["Ingress", "Egress"]
    return _policy(app, namespace, selector, policyTypes=types, ingress=ingress, egress=egress)


def _policy(name: str, namespace: str, selector: Manifest, **spec: list[str] | list[Manifest]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": selector, **spec},
    }
