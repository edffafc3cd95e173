"""Opens the CA that a block names; the key stays inside the task that signs (R16)."""

import base64
from datetime import UTC, datetime
from pathlib import Path

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.files import read_file
from tasks.connections import load_block, open_cluster
from tasks.core.certificates.authorities import Authority, AuthorityPlan, create_authority, load_authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.chains import issuing_first
from tasks.core.certificates.keys import KeySpec, generate_key
from tasks.core.certificates.reading import read_certificates
from tasks.core.errors import CertificateError, ClusterConflictError, InputError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import marked_as_ours

_LARGEST_PEM = 1024 * 1024


def open_authority(block: CertificateAuthority) -> Authority:
    """Read the CA's certificate and key, and make both once when the block says so.

    Raises:
        CertificateError: They are unreadable or do not belong together.
        InputError: A file cannot be read, or the kind has no key that this process may hold.
        ClusterError: The Secret's cluster refuses.
    """
    match block.kind:
        case AuthorityKind.FILE:
            certificate = _read(block.certificate_file, "certificate_file")
            return load_authority(certificate, _read(block.key_file, "key_file"), block.passphrase)
        case AuthorityKind.SECRET | AuthorityKind.MADE_ONCE:
            return _from_secret(block)
        case AuthorityKind.OCI | AuthorityKind.EXTERNAL:
            raise InputError(
                "open the certificate authority",
                f"kind {block.kind.value}",
                "a kind whose key this process may hold: MADE_ONCE, SECRET or FILE",
                block.kind.value,
            )


def read_external_trust(block: CertificateAuthority) -> tuple[Certificate, ...]:
    """The certificate of a CA that somebody else runs, then those above it.

    Raises:
        CertificateError: There is none in the block's text or file.
        InputError: The file cannot be read.
    """
    text = block.certificate.encode()
    found = read_certificates(text if text.strip() else _read(block.certificate_file, "certificate_file"))
    if not found:
        raise CertificateError(
            "read the certificate of the CA",
            "certificate or certificate_file of the block",
            "a PEM block `CERTIFICATE`",
            "none",
            "Put the issuing CA's certificate there, then those above it.",
        )
    return issuing_first(found[0], found[1:])


def _from_secret(block: CertificateAuthority) -> Authority:
    client = open_cluster(load_block(KubernetesCluster, block.cluster))
    ref = ObjectRef("v1", "Secret", block.secret, block.namespace)
    secret = client.get(ref)
    if secret is None and block.kind is AuthorityKind.MADE_ONCE:
        secret = _make(client, ref, block)
    if secret is None:
        raise CertificateError(
            "open the certificate authority",
            f"{client.name}: {ref}",
            "a Secret with tls.crt and tls.key",
            "none",
        )
    return load_authority(_value(secret, "tls.crt"), _value(secret, "tls.key"), block.passphrase)


def _make(client: ClusterClient, ref: ObjectRef, block: CertificateAuthority) -> Manifest | None:
    if block.key_spec not in KeySpec.__members__:
        raise InputError("make a CA", "key_spec", " or ".join(KeySpec), block.key_spec)
    spec = KeySpec(block.key_spec)
    plan = AuthorityPlan(block.common_name, spec, block.validity)
    authority = create_authority(plan, generate_key(spec), datetime.now(UTC))
    manifest = marked_as_ours(_tls_secret(ref, authority))
    try:
        return client.create(manifest)
    except ClusterConflictError:
        # Another run made it in the same moment: that one counts for everybody.
        return client.get(ref)


def _tls_secret(ref: ObjectRef, authority: Authority) -> Manifest:
    content = {
        "tls.crt": authority.certificate.pem,
        "tls.key": authority.key.pkcs8_pem().get_secret_value(),
    }
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }


def _value(secret: Manifest, key: str) -> bytes:
    return base64.b64decode((secret.get("data") or {}).get(key, ""))


def _read(path: Path | None, field_name: str) -> bytes:
    if path is None:
        raise InputError("open the certificate authority", field_name, "a path", "nothing")
    return read_file(path.expanduser(), _LARGEST_PEM, "open the certificate authority")
