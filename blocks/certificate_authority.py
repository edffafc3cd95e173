"""Who signs the webhook certificates: where the CA's key is, never the key as a flow parameter (R16)."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator


class AuthorityKind(StrEnum):
    """Where the CA is."""

    MADE_ONCE = "MADE_ONCE"
    """Made by the first run and kept in a Secret of a cluster; later runs use that Secret."""
    SECRET = "SECRET"  # noqa: S105 - the name of a kind, not a password
    """A Secret of a cluster with `tls.crt` and `tls.key`, made by somebody else."""
    FILE = "FILE"
    """PEM files that every worker can read."""
    OCI = "OCI"
    """A certificate authority of OCI Certificates; its key stays in OCI's HSM."""
    EXTERNAL = "EXTERNAL"
    """Somebody else signs; the signed certificate is pasted at the gate."""


class CertificateAuthority(Block):
    """A certificate authority for webhook certificates."""

    _block_type_name: ClassVar[str] = "OSOK Certificate Authority"
    _block_type_slug: ClassVar[str] = "osok-certificate-authority"
    _description: ClassVar[str] = "Signs the webhook certificates of a fleet."

    kind: AuthorityKind = Field(default=AuthorityKind.MADE_ONCE, description="Where the CA is.")
    cluster: str = Field(
        default="",
        description="Name of the OSOK Kubernetes Cluster block whose cluster holds the Secret; for MADE_ONCE "
        "and SECRET.",
    )
    namespace: str = Field(default="osok-fleet", description="Namespace of that Secret.")
    secret: str = Field(
        default="osok-fleet-certificate-authority", description="Name of that Secret (keys tls.crt, tls.key)."
    )
    certificate_file: Path | None = Field(
        default=None,
        description="PEM file with the CA's certificate, then those above it; for FILE, and for EXTERNAL "
        "unless `certificate` is filled in.",
    )
    certificate: str = Field(
        default="",
        description="The signing CA's certificate in PEM, then those above it, as text; for EXTERNAL. "
        "It is public: what is pasted at the gate has to be signed by it.",
    )
    key_file: Path | None = Field(default=None, description="PEM file with the CA's key; for FILE.")
    passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of an encrypted key; for SECRET and FILE."
    )
    common_name: str = Field(
        default="My Example Signer", max_length=64, description="Subject of the CA to make; for MADE_ONCE."
    )
    key_spec: str = Field(
        default="RSA_2048",
        description="Key of the CA to make: ECDSA_P256, ECDSA_P384, RSA_2048, RSA_3072 or RSA_4096.",
    )
    validity: timedelta = Field(
        default=timedelta(days=5 * 365), description="Lifetime of the CA to make; for MADE_ONCE."
    )
    tenancy: str = Field(default="", description="Name of the OciTenancy block; for OCI.")
    ocid: str = Field(
        default="",
        pattern=r"^$|^ocid1\.certificateauthority\.",
        description="OCID of the certificate authority; for OCI.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "CertificateAuthority":
        needs: dict[AuthorityKind, dict[str, object]] = {
            AuthorityKind.MADE_ONCE: {"cluster": self.cluster},
            AuthorityKind.SECRET: {"cluster": self.cluster},
            AuthorityKind.FILE: {"certificate_file": self.certificate_file, "key_file": self.key_file},
            AuthorityKind.OCI: {"tenancy": self.tenancy, "ocid": self.ocid},
            AuthorityKind.EXTERNAL: {
                "certificate or certificate_file": self.certificate.strip() or self.certificate_file
            },
        }
        if "PRIVATE KEY" in self.certificate:
            raise ValueError("certificate: a private key has no place there, and is lost once it was typed")
        missing = [name for name, value in needs[self.kind].items() if not value]
        if missing:
            raise ValueError(f"{' and '.join(missing)}: required when kind is {self.kind.value}")
        return self
