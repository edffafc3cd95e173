"""What every pod finds in its containers without asking for it: resolver, hosts, account, API server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.rehearsal.node.dns import resolver_file
from deployments.rehearsal.node.environment import DEFAULT_PATH
from deployments.rehearsal.node.launching import Bind
from tasks.core.manifests import Manifest, ObjectRef

_FROM_THE_MACHINE = ("/etc/ssl", "/etc/ld.so.cache")


def base_environment(name: str, api_server: tuple[str, int]) -> dict[str, str]:
    """The variables of every container.

    Args:
        name: The pod's name, which is also its host name.
        api_server: Where the API server is, seen from the pod.
    """
    host, port = api_server
    return {
        "PATH": DEFAULT_PATH,
        "HOME": "/tmp",  # noqa: S108 - inside the sandbox
        "HOSTNAME": name,
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": str(port),
        "KUBERNETES_SERVICE_PORT_HTTPS": str(port),
    }


def system_files(folder: Path, pod: ObjectRef, address: str) -> tuple[Bind, ...]:
    """Write the files below /etc that every container has.

    Args:
        folder: Where they go; it is made.
        pod: The pod.
        address: Its IP.
    """
    files = {
        "resolv.conf": resolver_file(pod.namespace),
        "hosts": f"127.0.0.1 localhost\n{address} {pod.name}\n",
        "nsswitch.conf": "hosts: files dns\n",
        "passwd": "root:x:0:0:root:/tmp:/bin/sh\n",
        "group": "root:x:0:\n",
    }
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    written = tuple(Bind(str(folder / name), f"/etc/{name}") for name in files)
    return (*written, *(Bind(path, path) for path in _FROM_THE_MACHINE if Path(path).exists()))


def token_request(pod: Manifest, source: Mapping[str, Any]) -> Manifest:
    """The TokenRequest for a `serviceAccountToken` source of a pod."""
    metadata = pod["metadata"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    audiences = {"audiences": [source["audience"]]} if source.get("audience") else {}
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            **audiences,
            "expirationSeconds": source.get("expirationSeconds", 3600),
            "boundObjectRef": bound,
        },
    }
