"""Access to the API server of an OKE cluster: its address and authority, and tokens that we sign ourselves.

A token is a request to Container Engine for the cluster, signed and with the signature in its query, encoded
as one word. The API server has it verified; it lives for about five minutes. The CLI's `oci ce cluster
generate-token`, which kubeconfigs of OKE start, makes the same (oci-cli, services/container_engine).
"""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode, urlsplit

from tasks.clients.tenancy.calls import Address, Service, TenancyCalls
from tasks.clients.tenancy.errors import convert, raised_by_requests
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.sdk import Untyped, oci, realm_domain
from tasks.core.errors import PrerequisiteError
from tasks.core.kubeconfigs import ConnectionSettings, read_cluster_entry

REFRESH_AFTER = timedelta(minutes=3, seconds=30)
"""The CLI announces four minutes; OCI accepts dates that are five minutes off."""
_USABLE = frozenset({"ACTIVE", "UPDATING"})


class EndpointKind(StrEnum):
    """Which address of a cluster's API server to use."""

    AUTO = "AUTO"
    """The public one where there is one, else the private one."""
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    ADDRESS = "ADDRESS"
    """One of our own, such as a bastion's port, behind which the private one (else the public one) is."""


@dataclass(frozen=True)
class Endpoint:
    """An address choice: `address` is `host:port` for ADDRESS and empty for the others."""

    kind: EndpointKind
    address: str = ""


class OkeToken:
    """Bearer tokens for one cluster, made anew before they expire.

    Args:
        identity: Who signs.
        address: Where Container Engine is.
        cluster_id: The cluster's OCID.
        clock: The time, zone aware.
    """

    def __init__(
        self,
        identity: Identity,
        address: Address,
        cluster_id: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        base = address.endpoint or f"https://containerengine.{address.region}.{realm_domain(address.region)}"
        self._url = f"{base}/cluster_request/{cluster_id}"
        self._identity = identity
        self._cluster_id = cluster_id
        self._clock = clock
        self._token = ""
        self._made_at = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def value(self) -> str:
        """A token that is good for another minute at least. A credential: never log or store it.

        Raises:
            TenancyUnavailableError: The signer needed the network and had no answer.
        """
        with self._lock:
            # A clock that was set back makes a token from the future, which is refused as well.
            if abs(self._clock() - self._made_at) >= REFRESH_AFTER:
                self._token = self._make()
                self._made_at = self._clock()
            return self._token

    def _make(self) -> str:
        # Signers of the SDK are written for the HTTP library that it brings along.
        request = oci()._vendor.requests.Request("GET", self._url, auth=self._identity.signer)  # noqa: SLF001 - see above
        try:
            headers = request.prepare().headers
        except raised_by_requests() as error:
            raise convert(error, "sign a token for the cluster", self._cluster_id) from None
        moved = {name: headers[name] for name in ("authorization", "date")}
        return base64.urlsafe_b64encode(f"{self._url}?{urlencode(moved)}".encode()).decode()


def read_access(calls: TenancyCalls, cluster_id: str, endpoint: Endpoint) -> ConnectionSettings:
    """The address and the authority of a cluster's API server.

    Raises:
        PrerequisiteError: The cluster is not in use, or has no such endpoint.
        TenancyError: It cannot be read.
    """
    model = calls.get(Service.CLUSTERS, "get_cluster", cluster_id)
    subject = f"{calls.name}: cluster {model.name}, {cluster_id}"
    if model.lifecycle_state not in _USABLE:
        raise PrerequisiteError(
            "use the OKE cluster", subject, "lifecycle state ACTIVE", str(model.lifecycle_state)
        )
    public, private = public_endpoint(model), private_endpoint(model)
    chosen = _choose(endpoint.kind, public, private)
    if not (public if chosen is EndpointKind.PUBLIC else private):
        other = EndpointKind.PRIVATE if chosen is EndpointKind.PUBLIC else EndpointKind.PUBLIC
        raise PrerequisiteError(
            "use the OKE cluster",
            subject,
            f"a {chosen.value.lower()} endpoint",
            f"only a {other.value.lower()} one" if public or private else "no endpoint at all",
            f"Set the endpoint of the cluster's block to {other}, or enable it in OKE.",
        )
    settings = read_cluster_entry(_kubeconfig(calls, cluster_id, chosen))
    return _aimed(settings, endpoint, _hint(model, chosen, public))


def public_endpoint(model: Untyped) -> str:
    """`host:port` of a cluster's public API address; empty where it has none."""
    enabled = bool(model.endpoint_config and model.endpoint_config.is_public_ip_enabled)
    return (model.endpoints.public_endpoint or "") if model.endpoints and enabled else ""


def private_endpoint(model: Untyped) -> str:
    """`host:port` of a cluster's API address inside its network; empty where it has none."""
    return (model.endpoints.private_endpoint or "") if model.endpoints else ""


def _choose(kind: EndpointKind, public: str, private: str) -> EndpointKind:
    match kind:
        case EndpointKind.AUTO:
            return EndpointKind.PUBLIC if public else EndpointKind.PRIVATE
        case EndpointKind.ADDRESS:
            return EndpointKind.PRIVATE if private else EndpointKind.PUBLIC
        case EndpointKind.PUBLIC | EndpointKind.PRIVATE:
            return kind


def _kubeconfig(calls: TenancyCalls, cluster_id: str, chosen: EndpointKind) -> str:
    models = oci().container_engine.models
    details = models.CreateClusterKubeconfigContentDetails(
        token_version="2.0.0",  # noqa: S106 - a version of the file's form
        endpoint=f"{chosen}_ENDPOINT",
    )
    stream = calls.get(
        Service.CLUSTERS, "create_kubeconfig", cluster_id, create_cluster_kubeconfig_content_details=details
    )
    try:
        return bytes(stream.content).decode()
    except raised_by_requests() as error:
        raise convert(error, "read the kubeconfig", f"{calls.name}: {cluster_id}") from None


def _aimed(settings: ConnectionSettings, endpoint: Endpoint, hint: str) -> ConnectionSettings:
    if endpoint.kind is not EndpointKind.ADDRESS:
        return replace(settings, out_of_reach=hint)
    hint = f"The cluster's block gives the address {endpoint.address}: check the bastion session behind it."
    # The API server's certificate is for its own address, whatever leads to it.
    name = urlsplit(settings.server).hostname or ""
    return replace(settings, server=f"https://{endpoint.address}", tls_server_name=name, out_of_reach=hint)


def _hint(model: Untyped, chosen: EndpointKind, public: str) -> str:
    """What to do when nothing answers."""
    which = f"This is the {chosen.value.lower()} endpoint of the OKE cluster {model.name}"
    if chosen is EndpointKind.PUBLIC:
        return (
            f"{which}: check that the network security groups of the endpoint let the worker's address in, "
            "and the worker's own way out."
        )
    subnet = (model.endpoint_config.subnet_id if model.endpoint_config else None) or "(unknown)"
    instead = f"set it to PUBLIC ({public})" if public else "enable the public endpoint in OKE"
    return (
        f"{which}, in the subnet {subnet} of the VCN {model.vcn_id or '(unknown)'}: only hosts in that "
        "network, or in one that is connected with it, reach it. Run the worker there, or open a bastion "
        f"session and set the endpoint of the cluster's block to ADDRESS, or {instead}."
    )
