"""The Secret's content before a switch, kept in the cluster until the new certificate is proven.

It makes the rollback possible after the process died, too. Like the staging Secret it stays in the namespace.
"""

from tasks.clients.cluster import ClusterClient
from tasks.core.certificates.webhook_secrets import PREVIOUS_SECRET, SecretFacts, read_webhook_secret
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY, is_ours


def keep_previous(client: ClusterClient, secret: Manifest) -> None:
    """Copy a Secret's data, once: a copy that exists is of the same switch and stays."""
    ref = _ref(secret["metadata"]["namespace"])
    if client.get(ref) is not None:
        return
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": secret["type"],
            "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": dict(MANAGED_BY)},
            "data": secret["data"],
        }
    )


def previous_data(client: ClusterClient, namespace: str) -> dict[str, str] | None:
    """The kept entries `tls.crt` and `tls.key`, still encoded; None when nothing is kept."""
    secret = client.get(_ref(namespace))
    if secret is None or not is_ours(secret):
        return None
    return {key: secret["data"][key] for key in ("tls.crt", "tls.key")}


def previous_facts(client: ClusterClient, namespace: str) -> SecretFacts | None:
    """What was kept, without the key."""
    secret = client.get(_ref(namespace))
    return None if secret is None else read_webhook_secret(secret)


def forget_previous(client: ClusterClient, namespace: str) -> None:
    """Delete the copy; absent is fine."""
    secret = client.get(_ref(namespace))
    if secret is not None and is_ours(secret):
        client.delete(_ref(namespace), secret["metadata"]["uid"])


def _ref(namespace: str) -> ObjectRef:
    return ObjectRef("v1", "Secret", PREVIOUS_SECRET, namespace)
