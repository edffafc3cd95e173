"""TLS handshakes with every endpoint of the webhook Services, through the API server's port forwarding (R21).

Only what is presented is collected; whether the API server would accept it is for
`tasks.core.certificates.verification.verify_for_api_server` to say.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from OpenSSL import SSL, crypto

from tasks.clients.cluster.client import ClusterClient
from tasks.clients.cluster.connection import Transport, transport_of
from tasks.clients.cluster.portforward import ForwardedPort, open_port
from tasks.core.certificates.findings import EndpointFact
from tasks.core.certificates.names import WebhookTarget, server_name
from tasks.core.errors import ClusterForbiddenError, FleetError
from tasks.core.manifests import Manifest, ObjectRef

_PARALLEL = 4
_CHUNK = 65536
_WEBHOOK_PORT = 443
_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True)
class _Endpoint:
    service: str
    address: str
    port: int
    pod: ObjectRef | None
    state: str


def read_endpoint_facts(
    client: ClusterClient, target: WebhookTarget, timeout: timedelta = timedelta(seconds=15)
) -> tuple[EndpointFact, ...]:
    """Shake hands with every endpoint of every Service of the target, each on a connection of its own.

    An endpoint that is not ready is asked too: its fact may have both a chain and a problem. A Service that
    is missing or has no endpoints is one fact without an address. The chain is what the endpoint sends, in
    its order, leaf first; nothing about it is verified.

    Args:
        client: The cluster.
        target: The Services; the ServerName is `<service>.<namespace>.svc`, as the API server's is.
        timeout: For one handshake, the way to the pod included. A few run side by side.

    Returns:
        The facts, Services in the target's order, endpoints by address.

    Raises:
        ClusterError: The Services or their EndpointSlices cannot be read.
    """
    services = {
        each["metadata"]["name"]: each for each in client.list_objects("v1", "Service", target.namespace)
    }
    slices = client.list_objects("discovery.k8s.io/v1", "EndpointSlice", target.namespace)
    found = [_endpoints_of(name, services.get(name), slices) for name in target.services]
    transport = transport_of(client)

    def fact_of(item: _Endpoint | EndpointFact) -> EndpointFact:
        if isinstance(item, EndpointFact):
            return item
        return _read_fact(transport, item, server_name(item.service, target.namespace), timeout)

    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return tuple(pool.map(fact_of, [item for items in found for item in items]))


def _endpoints_of(
    name: str, service: Manifest | None, slices: list[Manifest]
) -> list[_Endpoint | EndpointFact]:
    if service is None:
        return [EndpointFact(name, "", b"", "the Service does not exist")]
    ports = _webhook_ports(service)
    own = [each for each in slices if each["metadata"].get("labels", {}).get(_SERVICE_LABEL) == name]
    endpoints = {endpoint for each in own for endpoint in _endpoints_in(name, each, ports)}
    if not endpoints:
        return [EndpointFact(name, "", b"", "no endpoints: no pod with that port matches the Service")]
    return [*sorted(endpoints, key=lambda each: (each.address, each.port))]


def _webhook_ports(service: Manifest) -> set[str]:
    """Names of the Service's ports that webhooks call: 443 if it has it (the API's default), or all."""
    ports = service["spec"].get("ports") or []
    called = [port for port in ports if port["port"] == _WEBHOOK_PORT] or ports
    return {port.get("name", "") for port in called}


def _endpoints_in(service: str, found: Manifest, names: set[str]) -> Iterator[_Endpoint]:
    numbers = [port["port"] for port in found.get("ports") or [] if (port.get("name") or "") in names]
    for endpoint in found.get("endpoints") or []:
        reference = endpoint.get("targetRef") or {}
        pod = None
        if reference.get("kind") == "Pod":
            pod = ObjectRef("v1", "Pod", reference["name"], reference["namespace"])
        for address in endpoint["addresses"]:
            for number in numbers:
                yield _Endpoint(service, address, number, pod, _state(endpoint.get("conditions") or {}))


def _state(conditions: Manifest) -> str:
    # discovery/v1: an unknown `ready` counts as ready, an unknown `terminating` as false.
    if conditions.get("terminating"):
        return "the pod is terminating"
    return "" if conditions.get("ready") in (True, None) else "the pod is not ready"


def _read_fact(transport: Transport, endpoint: _Endpoint, name: str, timeout: timedelta) -> EndpointFact:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    address = f"{host}:{endpoint.port}"
    try:
        presented, problem = _handshake(transport, endpoint, name, timeout), ""
    except FleetError as error:
        presented, problem = b"", _problem(error, endpoint)
    text = "; ".join(part for part in (endpoint.state, problem) if part)
    return EndpointFact(endpoint.service, address, presented, text)


def _problem(error: FleetError, endpoint: _Endpoint) -> str:
    if isinstance(error, ClusterForbiddenError):
        namespace = endpoint.pod.namespace if endpoint.pod else ""
        return f"forbidden: `get` and `create` on pods/portforward in {namespace} are needed; {error.found}"
    return f"{error.attempted}: {error.found}" if error.found else error.attempted


def _handshake(transport: Transport, endpoint: _Endpoint, name: str, timeout: timedelta) -> bytes:
    if endpoint.pod is None:
        raise FleetError("reach the endpoint", found="it is no pod, so the API server has no way to it")
    tls = SSL.Connection(_context())
    tls.set_tlsext_host_name(name.encode())
    tls.set_connect_state()
    with open_port(transport, endpoint.pod, endpoint.port, timeout) as port:
        _shake_hands(tls, port)
    return b"".join(
        crypto.dump_certificate(crypto.FILETYPE_PEM, certificate)
        for certificate in tls.get_peer_cert_chain() or []
    )


def _context() -> SSL.Context:
    # pyOpenSSL and not ssl, which has no public way to the chain before Python 3.13.
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    # As Go's client does it. What is presented is to be seen also where it is wrong.
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_verify(SSL.VERIFY_NONE)
    return context


def _shake_hands(tls: SSL.Connection, port: ForwardedPort) -> None:
    while True:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            _send_pending(tls, port)
        except SSL.Error as error:
            raise FleetError("shake hands", found=f"no TLS: {_reason(error)}") from None
        else:
            # The server is to see a finished handshake and a proper end.
            tls.shutdown()
            _send_pending(tls, port)
            return
        received = port.receive()
        if not received:
            raise FleetError("shake hands", found="the connection was closed before the handshake ended")
        tls.bio_write(received)


def _send_pending(tls: SSL.Connection, port: ForwardedPort) -> None:
    try:
        while pending := tls.bio_read(_CHUNK):
            port.send(pending)
    except SSL.WantReadError:
        # Nothing more to send.
        return


def _reason(error: SSL.Error) -> str:
    texts = [entry[-1] for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(texts) or type(error).__name__
