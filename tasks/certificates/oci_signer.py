"""An authority of OCI Certificates: its key stays in OCI's HSM, the leaf's key in the cluster (R16, R26)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.certificate_authority import CertificateAuthority
from blocks.oci_tenancy import OciTenancy
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.certificates import require_authority
from tasks.clients.tenancy.errors import TenancyAccessError, TenancyConflictError, TenancyNotFoundError
from tasks.clients.tenancy.issuing import IssueOrder, issue_certificate, read_authority_chain
from tasks.clients.tenancy.making import TenancyObjectError
from tasks.clients.tenancy.sdk import region_of
from tasks.connections import in_region, load_block, open_tenancy
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.chains import issuing_first
from tasks.core.certificates.commissions import Commission
from tasks.core.certificates.issuing import SHORTEST_LIFETIME, require_fit
from tasks.core.certificates.profiles import CertificatePlan
from tasks.core.certificates.reading import read_certificates
from tasks.core.errors import CertificateError, TenancyError
from tasks.core.prerequisites.periods import shortest_length

_WITHIN = timedelta(minutes=3)
"""How long opening, issuing and reading back may take together."""
_DIGITS = 32
"""Of the SHA-256 in a certificate's name: 128 bits, as much as no two requests share."""


def open_oci_signer(block: CertificateAuthority) -> "OciSigner":
    """Read the authority's current certificate and those above it.

    Raises:
        InputError: There is no such tenancy block.
        TenancyError: OCI refuses or does not answer.
        CertificateError: What it answers is no CA certificate.
    """
    tenancy = in_region(load_block(OciTenancy, block.tenancy), region_of(block.ocid))
    calls = open_tenancy(tenancy, datetime.now(UTC) + _WITHIN)
    try:
        issuing, above = read_authority_chain(calls, block.ocid)
    except TenancyNotFoundError as error:
        raise _with_advice(error, "read certificate-authority-family") from error
    first = read_certificates(issuing)
    if not first:
        raise CertificateError(
            "read the certificate of the CA", block.ocid, "a PEM block `CERTIFICATE`", "none"
        )
    trust = issuing_first(first[0], read_certificates(issuing + b"\n" + above))
    return OciSigner(calls, block.ocid, tenancy.compartment_id, trust)


@dataclass(frozen=True)
class OciSigner:
    """One authority of OCI Certificates.

    Attributes:
        calls: The tenancy in the authority's region.
        compartment_id: Where the certificates' objects are made.
        trust: The authority's current certificate, then those above it.
    """

    calls: TenancyCalls
    authority_id: str
    compartment_id: str
    trust: tuple[Certificate, ...]

    def require_able(self, plan: CertificatePlan) -> None:
        """See `Signer`.

        Raises:
            TenancyError: The authority is not ACTIVE, was revoked, or its key is elsewhere.
            CertificateError: Its rule, its end or its constraints do not allow this certificate.
        """
        now = datetime.now(UTC)
        rule = require_authority(self.calls, self.authority_id).leaf_validity
        require_fit(self.trust[0], plan, now)
        self._require_lifetime(plan, now, rule)

    def sign(self, commission: Commission) -> bytes:
        """See `Signer`. The object in OCI is named after request and authority, so there is one for both.

        Raises:
            CertificateError: OCI issued none and will not: what it says is in the message.
            TenancyError: OCI does not answer, or not in time.
        """
        order = IssueOrder(
            name=certificate_name(commission, self.authority_id),
            description=f"Webhook certificate for the request {commission.name}"[:250],
            compartment_id=self.compartment_id,
            authority_id=self.authority_id,
            request=commission.request,
            not_after=self._end(commission.expectation.plan, commission.created),
        )
        try:
            return issue_certificate(self.calls, order)
        except TenancyNotFoundError as error:
            raise _with_advice(
                error, "use certificate-authority-delegate, manage leaf-certificate-family"
            ) from error
        except TenancyObjectError as error:
            raise _refused(order, error, error.next_step) from error
        except TenancyError as error:
            if error.retryable or isinstance(error, TenancyAccessError | TenancyConflictError):
                raise
            advice = "Correct common name, names, key or lifetime of the certificate, or choose another CA."
            raise _refused(order, error, advice) from error

    def _end(self, plan: CertificatePlan, start: datetime) -> datetime:
        return min(start + plan.validity, *(one.not_after for one in self.trust))

    def _require_lifetime(self, plan: CertificatePlan, now: datetime, rule: str | None) -> None:
        longest = shortest_length(rule) if rule else plan.validity
        if plan.validity > longest:
            raise CertificateError(
                "have a certificate issued by OCI",
                self.authority_id,
                f"a leaf rule of at least {plan.validity.days} days",
                f"{rule} ({longest.days} days)",
                f"Set certificate.validity to {rule} or less, or raise the rule of the authority (R26).",
            )
        end = self._end(plan, now)
        if end - now < SHORTEST_LIFETIME:
            raise CertificateError(
                "have a certificate issued by OCI",
                self.authority_id,
                f"a lifetime of at least {SHORTEST_LIFETIME}",
                f"an end at {end.isoformat()}",
                "Renew the CA first: OLM replaces certificates that end within 24 hours.",
            )


def certificate_name(commission: Commission, authority_id: str) -> str:
    """The name of the certificate's object: one per request and authority (OCI: letters, digits, `-._`)."""
    digest = hashlib.sha256(f"{authority_id}\n".encode() + commission.request).hexdigest()
    return f"osok-fleet-{digest[:_DIGITS]}"


def _refused(order: IssueOrder, error: TenancyError, next_step: str) -> CertificateError:
    """No certificate, for good: the request is over."""
    expected = error.expected or "a certificate for this request"
    return CertificateError("have a certificate issued by OCI", order.name, expected, error.found, next_step)


def _with_advice(error: TenancyNotFoundError, rights: str) -> TenancyNotFoundError:
    """The same error with what usually is behind it: OCI answers 404 for a right that is missing."""
    advice = f"{error.next_step} Grant in the authority's compartment: {rights}."
    return TenancyNotFoundError(error.attempted, error.subject, error.expected, error.found, advice)
