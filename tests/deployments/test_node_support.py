"""What the node's tests share; there are no tests in here."""

import base64
import itertools
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import trustme

from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import Manifest, ObjectRef

OPERATOR = (sys.executable, "-m", "deployments.rehearsal.operator")
OSOK_IMAGE = "iad.ocir.io/oracle/oci-service-operator:1.1.9"

Found = TypeVar("Found")
_names = itertools.count(1)


def wait_for(look: Callable[[], Found | None]) -> Found:
    """Look until there is something true to see."""
    while not (found := look()):
        threading.Event().wait(0.05)
    return found


def make_namespace(client: ClusterClient) -> str:
    """A namespace that no other test uses, ready for pods."""
    metadata = {"generateName": f"node-test-{next(_names)}-"}
    made = client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    name: str = made["metadata"]["name"]
    wait_for(lambda: client.get(ObjectRef("v1", "ServiceAccount", "default", name)))
    return name


def pod(namespace: str, name: str, image: str = "example.com/anything:1", **spec: object) -> Manifest:
    """A pod of one container; fields that are given with `container_` belong to the container."""
    prefix = "container_"
    container = {key.removeprefix(prefix): value for key, value in spec.items() if key.startswith(prefix)}
    rest = {key: value for key, value in spec.items() if not key.startswith(prefix)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image, **container}], **rest},
    }


def secret(namespace: str, name: str, **data: bytes) -> Manifest:
    """A Secret; underscores in keys become dots."""
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": encoded,
    }


def leaf_secret(authority: trustme.CA, namespace: str, name: str, host: str) -> Manifest:
    """A Secret with a new serving certificate of an authority."""
    leaf = authority.issue_cert(host)
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    return secret(namespace, name, tls_crt=chain, tls_key=leaf.private_key_pem.bytes())


def served_serial(address: tuple[str, int], authority: trustme.CA, host: str) -> str:
    """The serial number of the certificate that is served; empty when no connection comes about."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    try:
        with (
            socket.create_connection(address) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            certificate = connection.getpeercert()
            return str(certificate["serialNumber"]) if certificate else ""
    except OSError:
        return ""
