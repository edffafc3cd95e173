"""One way to sign per kind of CA, behind one protocol; which one is chosen here alone (R16, R17)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from tasks.certificates.authorities import open_authority, read_external_trust
from tasks.certificates.oci_signer import open_oci_signer
from tasks.core.certificates.authorities import Authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.commissions import Commission
from tasks.core.certificates.issuing import plan_validity, require_fit, sign_request
from tasks.core.certificates.pasted import read_pasted
from tasks.core.certificates.profiles import CertificatePlan


class Signer(Protocol):
    """A CA that can be asked for certificates. What it gives is judged like a stranger's (`check_issued`)."""

    @property
    def trust(self) -> tuple[Certificate, ...]:
        """The CA certificates to publish, the issuing one first."""

    def require_able(self, plan: CertificatePlan) -> None:
        """Refuse what cannot be issued now, before a person is asked and before anything is approved."""

    def sign(self, commission: Commission) -> bytes:
        """The certificate, PEM. Asked again for the same request, it gives one that is as good."""


def signer_for(block: CertificateAuthority) -> Signer:
    """The signer of a block's kind.

    Raises:
        CertificateError: The CA is unreadable.
        InputError: A file or a block is missing.
        ClusterError: The cluster with the CA's Secret refuses.
        TenancyError: OCI refuses or does not answer.
    """
    match block.kind:
        case AuthorityKind.MADE_ONCE | AuthorityKind.SECRET | AuthorityKind.FILE:
            return LocalSigner(open_authority(block))
        case AuthorityKind.OCI:
            return open_oci_signer(block)
        case AuthorityKind.EXTERNAL:
            return ExternalSigner(read_external_trust(block))


def describe_signer(block: CertificateAuthority, signer: Signer) -> str:
    """The CA in one line, as the approver sees it and the decision is bound to it."""
    issuing = signer.trust[0]
    place = f", {block.ocid}" if block.kind is AuthorityKind.OCI else ""
    return f"{block.kind.value}: {issuing.subject}, SHA-256 {issuing.sha256}{place}"


@dataclass(frozen=True)
class LocalSigner:
    """A CA whose key this process may hold: MADE_ONCE, SECRET, FILE."""

    authority: Authority

    @property
    def trust(self) -> tuple[Certificate, ...]:
        """See `Signer`."""
        return (self.authority.certificate, *self.authority.above)

    def require_able(self, plan: CertificatePlan) -> None:
        """See `Signer`.

        Raises:
            CertificateError: The CA must not sign this now, or ends too soon.
        """
        now = datetime.now(UTC)
        require_fit(self.authority.certificate, plan, now)
        plan_validity(plan, self.authority, now)

    def sign(self, commission: Commission) -> bytes:
        """See `Signer`.

        Raises:
            CertificateError: The request breaks the policy, or the CA must not sign it now.
        """
        now = datetime.now(UTC)
        return sign_request(commission.request, commission.expectation, self.authority, now).pem


@dataclass(frozen=True)
class ExternalSigner:
    """A CA that somebody else runs: its certificate is in the block, what it signed is pasted at the gate."""

    trust: tuple[Certificate, ...]

    def require_able(self, plan: CertificatePlan) -> None:
        """See `Signer`.

        Raises:
            CertificateError: No certificate of this CA would be accepted now.
        """
        require_fit(self.trust[0], plan, datetime.now(UTC))

    def sign(self, commission: Commission) -> bytes:
        """See `Signer`.

        Raises:
            CertificateError: Not one certificate was pasted for this request's key.
        """
        return read_pasted(commission.signed).for_key(commission.expectation.spki_sha256).pem
