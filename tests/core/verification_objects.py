"""Objects as OLM and Kubernetes write them for a healthy operator, built from its profile."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tasks.core.manifests import Manifest
from tasks.core.profiles import ExpectedWebhook, OperatorProfile, built_in_profile
from tasks.core.verification import OperatorObservation

NOW = datetime(2025, 6, 1, tzinfo=UTC)
NAMESPACE = "oci-service-operator-system"
OSOK = built_in_profile()


def make_ca(name: str = "Test CA", days: int = 365) -> bytes:
    """A self-signed certificate in PEM that ends `days` after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


CA = make_ca()


def webhook_named(generate_name: str) -> ExpectedWebhook:
    """The profile's webhook whose generateName starts so."""
    return next(webhook for webhook in OSOK.webhooks if webhook.generate_name.startswith(generate_name))


def configuration(webhook: ExpectedWebhook, suffix: str = "abcde") -> Manifest:
    """What OLM registers for one webhook (pkg/controller/install/webhook.go)."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": webhook.kind,
        "metadata": {
            "name": f"{webhook.generate_name}-{suffix}",
            "labels": {
                "olm.owner": "oci-service-operator.v1.1.9",
                "olm.owner.namespace": NAMESPACE,
                "olm.owner.kind": "ClusterServiceVersion",
                "olm.webhook-description-generate-name": webhook.generate_name,
            },
        },
        "webhooks": [
            {
                "name": webhook.generate_name,
                "rules": [
                    {
                        "apiGroups": list(rule.groups),
                        "apiVersions": list(rule.versions),
                        "operations": [operation.value for operation in rule.operations],
                        "resources": list(rule.resources),
                        "scope": "*",
                    }
                    for rule in webhook.rules
                ],
                "failurePolicy": webhook.failure_policy.value,
                "sideEffects": webhook.side_effects.value,
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {},
                "timeoutSeconds": 10,
                "admissionReviewVersions": ["v1", "v1beta1"],
                "clientConfig": {
                    "service": {
                        "namespace": NAMESPACE,
                        "name": OSOK.service_of(webhook),
                        "path": webhook.path,
                        "port": 443,
                    },
                    "caBundle": base64.b64encode(CA).decode(),
                },
            }
        ],
    }


def crd(name: str, *versions: str) -> Manifest:
    """An established CRD."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {"versions": [{"name": version, "served": True} for version in versions]},
        "status": {
            "conditions": [
                {"type": "NamesAccepted", "status": "True"},
                {"type": "Established", "status": "True"},
            ]
        },
    }


def service(name: str) -> Manifest:
    """A Service in front of the webhook server."""
    ports = [{"name": "443", "port": 443, "targetPort": 9443, "protocol": "TCP"}]
    return {"metadata": {"name": name}, "spec": {"ports": ports, "selector": dict(OSOK.pod_labels)}}


def endpoint_slice(name: str, *ready: bool) -> Manifest:
    """The endpoints of a Service."""
    return {
        "metadata": {"name": f"{name}-x7k2p", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": one}} for one in ready],
    }


def pod(name: str, owner: str, kind: str = "ReplicaSet", **labels: str) -> Manifest:
    """A running pod with the operator's labels and a controller."""
    return {
        "metadata": {
            "name": name,
            "labels": {"control-plane": "controller-manager", "pod-template-hash": "5d9c", **labels},
            "ownerReferences": [{"kind": kind, "name": owner, "controller": True}],
        },
        "status": {"phase": "Running"},
    }


def deployment() -> Manifest:
    """The operator's Deployment, rolled out."""
    return {
        "metadata": {"name": OSOK.deployment, "generation": 2},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 2,
            "replicas": 1,
            "updatedReplicas": 1,
            "availableReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
        },
    }


def healthy(profile: OperatorProfile = OSOK) -> OperatorObservation:
    """A cluster on which the profile's operator is installed as it should be."""
    return OperatorObservation(
        namespace=NAMESPACE,
        crds={one.name: crd(one.name, one.version) for one in profile.crds},
        configurations=tuple(configuration(webhook) for webhook in profile.webhooks),
        ca=CA,
        deployment=deployment(),
        services={name: service(name) for name in profile.service_names},
        slices=tuple(endpoint_slice(name, True) for name in profile.service_names),  # noqa: FBT003 - variadic
        pods=(pod("manager-1", f"{profile.deployment}-5d9c"),),
        objects={(one.kind, one.name): frozenset(one.data_keys) for one in profile.objects},
    )


def with_configuration(webhook: ExpectedWebhook, changed: Manifest) -> OperatorObservation:
    """The healthy cluster with one configuration replaced."""
    others = tuple(configuration(one) for one in OSOK.webhooks if one != webhook)
    return replace(healthy(), configurations=(*others, changed))
