"""The caBundles of the operator's webhook configurations: read together, written together (R20, R21)."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.clients.cluster import ClusterClient, PatchType
from tasks.core.certificates.findings import WebhookFact
from tasks.core.drift.owners import owner_of
from tasks.core.manifests import Manifest, ObjectRef

_ADMISSION = "admissionregistration.k8s.io/v1"
_KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_DEFAULT_PORT = 443
"""admissionregistration.k8s.io/v1, ServiceReference."""
_OWNER_KIND = "olm.owner.kind"
"""OLM's label on what it made for a ClusterServiceVersion (pkg/lib/ownerutil)."""


@dataclass(frozen=True)
class RegisteredBundle:
    """The caBundle of one webhook.

    Attributes:
        ref: The configuration object.
        index: Position in its `webhooks`, for the JSON patch.
        name: webhooks[].name, which a patch tests before it writes.
        service: Name of the Service that is called.
        port: At which of its ports.
        made_by_olm: Whether OLM registered it; OLM always has its own Service called.
        writer: Who wrote the caBundle last (metadata.managedFields); empty when nobody says so.
    """

    ref: ObjectRef
    index: int
    name: str
    service: str
    ca_bundle: bytes = field(repr=False)
    port: int = _DEFAULT_PORT
    made_by_olm: bool = False
    writer: str = ""

    def fact(self) -> WebhookFact:
        """The same for the diagnosis."""
        return WebhookFact(str(self.ref), self.name, self.service, self.ca_bundle)


def read_bundles(
    client: ClusterClient, namespace: str, services: tuple[str, ...]
) -> tuple[RegisteredBundle, ...]:
    """Every webhook of the cluster that calls one of the Services, whatever its configuration is called."""
    found = [
        bundle
        for kind in _KINDS
        for configuration in client.list_objects(_ADMISSION, kind)
        for bundle in _bundles(kind, configuration, namespace, services)
    ]
    return tuple(found)


def write_bundles(
    client: ClusterClient, bundles: tuple[RegisteredBundle, ...], trust: bytes
) -> tuple[str, ...]:
    """Bring every caBundle to these bytes; one that has them is not written.

    The patch tests the webhook's name first, so an object that OLM replaced in between is not hit blindly.

    Returns:
        One line per object that was written.
    """
    value = base64.b64encode(trust).decode()
    stale = [bundle for bundle in bundles if bundle.ca_bundle != trust]
    return tuple(_write(client, bundle, "caBundle", value) for bundle in stale)


def write_service(
    client: ClusterClient, bundles: tuple[RegisteredBundle, ...], service: str
) -> tuple[str, ...]:
    """Have the API server call these webhooks at that Service of the same namespace.

    Returns:
        One line per object that was written.
    """
    elsewhere = [bundle for bundle in bundles if bundle.service != service]
    return tuple(_write(client, bundle, "service/name", service) for bundle in elsewhere)


def _write(client: ClusterClient, bundle: RegisteredBundle, field_path: str, value: str) -> str:
    place = f"/webhooks/{bundle.index}"
    operations: list[Manifest] = [
        {"op": "test", "path": f"{place}/name", "value": bundle.name},
        {"op": "add", "path": f"{place}/clientConfig/{field_path}", "value": value},
    ]
    client.patch(bundle.ref, operations, PatchType.JSON)
    return f"UPDATED {bundle.ref}: {field_path}"


def _bundles(
    kind: str, configuration: Manifest, namespace: str, services: tuple[str, ...]
) -> Iterator[RegisteredBundle]:
    metadata = configuration["metadata"]
    ref = ObjectRef(_ADMISSION, kind, metadata["name"])
    made_by_olm = _OWNER_KIND in (metadata.get("labels") or {})
    for index, webhook in enumerate(configuration.get("webhooks") or []):
        config = webhook.get("clientConfig") or {}
        service = config.get("service") or {}
        if service.get("namespace") == namespace and service.get("name") in services:
            bundle = base64.b64decode(config.get("caBundle") or "")
            port = service.get("port", _DEFAULT_PORT)
            owner = owner_of(configuration, f"/webhooks/{index}/clientConfig/caBundle")
            yield RegisteredBundle(
                ref=ref,
                index=index,
                name=webhook["name"],
                service=service["name"],
                ca_bundle=bundle,
                port=port,
                made_by_olm=made_by_olm,
                writer=owner.manager if owner else "",
            )
