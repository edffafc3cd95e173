"""Secrets as an API server returns them."""

import base64
from collections.abc import Mapping

from tasks.core.manifests import Manifest

MANAGED: Mapping[str, str] = {"olm.managed": "true"}


def manifest_of(
    certificate: bytes | None,
    trust: bytes | None,
    key: bytes | None = None,
    labels: Mapping[str, str] = MANAGED,
    kind: str = "kubernetes.io/tls",
) -> Manifest:
    """The webhook's Secret with these entries; None leaves an entry out."""
    entries = {"tls.crt": certificate, "olmCAKey": trust, "tls.key": key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {
            "name": "manager-service-cert",
            "namespace": "mesh",
            "resourceVersion": "42",
            "labels": dict(labels),
        },
        "data": {
            name: base64.b64encode(value).decode() for name, value in entries.items() if value is not None
        },
    }
