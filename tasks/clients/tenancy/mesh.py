"""Asks for the control plane of OCI Service Mesh, which the SDK no longer knows."""

import socket
from datetime import timedelta
from urllib.parse import urlsplit

import httpx

from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.sdk import oci, realm_domain
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach

_PATH = "/20220615/meshes"
_WAIT = timedelta(seconds=5)


def probe_control_plane(calls: TenancyCalls, compartment_id: str) -> ControlPlaneProbe:
    """Resolve the address and ask it, signed, for one mesh of the compartment.

    Base path and host are those of the last SDK that had the service (2.158).
    """
    base = calls.address.endpoint or _endpoint(calls.address.region)
    host = urlsplit(base).hostname or base
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return ControlPlaneProbe(host, Reach.NO_SUCH_NAME)
    url = f"{base}{_PATH}?compartmentId={compartment_id}&limit=1"
    # Signers of the SDK are written for the HTTP library that it brings along.
    request = oci()._vendor.requests.Request("GET", url, auth=calls.identity.signer).prepare()  # noqa: SLF001 - see above
    wait = min(_WAIT, calls.deadline.left()).total_seconds()
    verify = str(calls.address.ca_file) if calls.address.ca_file else True
    try:
        answer = httpx.get(url, headers=dict(request.headers), timeout=max(wait, 0.1), verify=verify)
    except httpx.HTTPError:
        return ControlPlaneProbe(host, Reach.NO_CONNECTION)
    return ControlPlaneProbe(host, Reach.ANSWERED, answer.status_code)


def _endpoint(region: str) -> str:
    return f"https://servicemesh.{region}.oci.{realm_domain(region)}"
