"""What the validators refuse: the rules of the OSOK 1.1.9 validators, as far as they need no OCI.

Taken over from the operator's behaviour (pkg/servicemanager/servicemesh/*/…_servicevalidationmanager.go at
v1.1.9): one of `ref` and `id` where a resource is referred to, names of at most 190 characters, the one-of
rules of policies and routes, and fields that cannot change. Left out: everything that depends on the status
that only a reconciling operator writes. The reasons say what the real ones say, because checks recognise a
refusal by them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.rehearsal.operator.admission import ALLOWED, Request, Verdict

Spec = Mapping[str, Any]
ServiceExists = Callable[[str, str], bool]
"""Whether a Kubernetes Service exists, by namespace and name."""

MAX_NAME_LENGTH = 190
MAX_POLICY_RULES = 50
LOWEST_LISTENER_PORT = 1024
_COMPARTMENT = ("compartmentId",)
_TARGETS = ("allVirtualServices", "virtualService", "ingressGateway", "externalService")
_ROUTES = ("httpRoute", "tcpRoute", "tlsPassthroughRoute")
_HOSTNAME_PROTOCOLS = ("HTTP", "TLS_PASSTHROUGH")


@dataclass(frozen=True)
class KindRules:
    """How one kind is judged.

    Attributes:
        reference: The field of the spec that refers to another resource; empty for a Mesh.
        required: Fields of the spec that must not be empty.
        check: Yields what is wrong with a spec beyond that.
        immutable: Fields of the spec that an UPDATE must not change.
    """

    reference: str
    required: tuple[str, ...]
    check: Callable[[Spec], Iterator[str]]
    immutable: tuple[str, ...]


def judge(rules: KindRules, request: Request, service_exists: ServiceExists) -> Verdict:
    """Decide about one object; a DELETE is always allowed, as it is for an object without a status."""
    if request.operation not in ("CREATE", "UPDATE"):
        return ALLOWED
    spec = _mapping(request.new.get("spec"))
    for problem in _problems(rules, request, spec, service_exists):
        return Verdict(denial=problem)
    return ALLOWED


def _problems(rules: KindRules, request: Request, spec: Spec, service_exists: ServiceExists) -> Iterator[str]:
    if len(request.name) > MAX_NAME_LENGTH:
        yield f"metadata.name length should not exceed {MAX_NAME_LENGTH} characters"
    yield from (f"spec.{field} is missing" for field in rules.required if not spec.get(field))
    if rules.reference:
        yield from _reference(spec.get(rules.reference), f"spec.{rules.reference}")
    yield from rules.check(spec)
    if request.operation == "UPDATE":
        old = _mapping(request.old.get("spec"))
        yield from (
            f"spec.{field} is immutable" for field in rules.immutable if spec.get(field) != old.get(field)
        )
    elif rules is KIND_RULES["VirtualDeploymentBinding"]:
        yield from _missing_service(spec, request.namespace, service_exists)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in value] if isinstance(value, list) else []


def _reference(value: object, field: str) -> Iterator[str]:
    reference = _mapping(value)
    named = bool(_mapping(reference.get("ref")).get("name"))
    if named and reference.get("id"):
        yield f"{field} cannot contain both ref and id"
    if not named and not reference.get("id"):
        yield f"{field} cannot be empty, it needs ref or id"


def _one_of(value: Spec, choices: tuple[str, ...], what: str, kind: str) -> Iterator[str]:
    # An empty object is a choice: `allVirtualServices: {}`.
    chosen = sum(value.get(choice) is not None for choice in choices)
    if chosen == 0:
        yield f"{what} cannot be empty, it needs one of {', '.join(choices)}"
    if chosen > 1:
        yield f"{what} cannot contain more than one {kind}"


def _check_mesh(spec: Spec) -> Iterator[str]:
    authorities = _items(spec.get("certificateAuthorities"))
    if len(authorities) != 1 or not authorities[0].get("id"):
        yield "spec.certificateAuthorities needs exactly one entry with an id"


def _check_access_policy(spec: Spec) -> Iterator[str]:
    rules = _items(spec.get("rules"))
    if not 1 <= len(rules) <= MAX_POLICY_RULES:
        yield f"spec.rules needs 1 to {MAX_POLICY_RULES} rules"
    for position, rule in enumerate(rules):
        for end, refused in (("source", "externalService"), ("destination", "ingressGateway")):
            field = f"spec.rules[{position}].{end}"
            target = _mapping(rule.get(end))
            yield from _one_of(target, _TARGETS, "access policy target", "target")
            if refused in target:
                yield f"{field} cannot be an {refused}"
            for choice in ("virtualService", "ingressGateway"):
                if choice in target:
                    yield from _reference(target[choice], f"{field}.{choice}")


def _check_gateway(spec: Spec) -> Iterator[str]:
    hosts = _items(spec.get("hosts"))
    if not hosts:
        yield "spec.hosts is empty"
    for position, host in enumerate(hosts):
        for listener in _items(host.get("listeners")):
            port = listener.get("port")
            if not isinstance(port, int) or port < LOWEST_LISTENER_PORT:
                yield f"listener port must be greater than or equal to {LOWEST_LISTENER_PORT}"
            if listener.get("protocol") in _HOSTNAME_PROTOCOLS and not host.get("hostnames"):
                yield f"spec.hosts[{position}] needs hostnames for its {listener['protocol']} listener"


def _check_gateway_deployment(spec: Spec) -> Iterator[str]:
    scaling = _mapping(_mapping(spec.get("deployment")).get("autoscaling"))
    if scaling.get("minPods", 0) > scaling.get("maxPods", 0):
        yield "spec.deployment.autoscaling maxPods cannot be less than minPods"
    secrets = [secret.get("secretName") for secret in _items(spec.get("secrets"))]
    if len(secrets) != len(set(secrets)):
        yield "spec.secrets names a Secret twice"


def _routes(spec: Spec, target: str) -> Iterator[str]:
    for position, rule in enumerate(_items(spec.get("routeRules"))):
        field = f"spec.routeRules[{position}]"
        yield from _one_of(rule, _ROUTES, "spec.routeRule", "type")
        destinations = [
            destination
            for route in _ROUTES
            for destination in _items(_mapping(rule.get(route)).get("destinations"))
        ]
        for destination in destinations:
            yield from _reference(destination.get(target), f"{field}.destinations.{target}")
        if len({destination.get("port") for destination in destinations}) > 1:
            yield "route rule destinations cannot have different ports"


def _check_gateway_routes(spec: Spec) -> Iterator[str]:
    return _routes(spec, "virtualService")


def _check_service_routes(spec: Spec) -> Iterator[str]:
    return _routes(spec, "virtualDeployment")


def _check_deployment(spec: Spec) -> Iterator[str]:
    discovery = _mapping(spec.get("serviceDiscovery"))
    hostname = bool(discovery.get("hostname"))
    if discovery.get("type") == "DNS" and not hostname:
        yield "spec.serviceDiscovery of type DNS needs a hostname"
    if discovery.get("type") == "DISABLED" and hostname:
        yield "spec.serviceDiscovery of type DISABLED cannot have a hostname"
    if hostname != bool(spec.get("listener")):
        yield "service discovery and listeners should be provided together, or neither"


def _check_binding(spec: Spec) -> Iterator[str]:
    service = _mapping(_mapping(spec.get("target")).get("service"))
    if not _mapping(service.get("ref")).get("name"):
        yield "spec.target.service.ref.name is missing"


def _nothing_more(_spec: Spec) -> Iterator[str]:
    return iter(())


def _missing_service(spec: Spec, namespace: str, service_exists: ServiceExists) -> Iterator[str]:
    # The real validator looks for the Service only when the deployment is referred to by name.
    if _mapping(spec["virtualDeployment"]).get("id"):
        return
    reference = spec["target"]["service"]["ref"]
    if not service_exists(reference.get("namespace") or namespace, reference["name"]):
        yield f"spec.target.service refers to a Service {reference['name']} that does not exist"


KIND_RULES: Mapping[str, KindRules] = {
    "AccessPolicy": KindRules("mesh", _COMPARTMENT, _check_access_policy, ("mesh", "name")),
    "IngressGateway": KindRules("mesh", _COMPARTMENT, _check_gateway, ("mesh", "name")),
    "IngressGatewayDeployment": KindRules(
        "ingressGateway", (), _check_gateway_deployment, ("ingressGateway",)
    ),
    "IngressGatewayRouteTable": KindRules(
        "ingressGateway", _COMPARTMENT, _check_gateway_routes, ("ingressGateway", "name")
    ),
    "Mesh": KindRules("", _COMPARTMENT, _check_mesh, ("certificateAuthorities",)),
    "VirtualDeployment": KindRules(
        "virtualService", _COMPARTMENT, _check_deployment, ("virtualService", "name")
    ),
    "VirtualDeploymentBinding": KindRules("virtualDeployment", (), _check_binding, ()),
    "VirtualService": KindRules("mesh", _COMPARTMENT, _nothing_more, ("mesh", "name")),
    "VirtualServiceRouteTable": KindRules(
        "virtualService", _COMPARTMENT, _check_service_routes, ("virtualService", "name")
    ),
}
