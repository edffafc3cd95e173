"""Trust bundles: reading them, naming what is wrong with them, and their order during a change of CA.

OLM copies olmCAKey byte for byte into every caBundle and reads only its first block; the API server takes
every certificate of a caBundle as a root. So a bundle may overlap two CAs; the order decides what OLM does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.certificates.certificate import Certificate, check_signature
from tasks.core.certificates.pem import CERTIFICATE, PemProblem, decode_blocks, find_problems
from tasks.core.certificates.reading import read_certificate
from tasks.core.errors import CertificateError


class BundleProblem(StrEnum):
    """What is wrong with a readable PEM file as a trust bundle."""

    PRIVATE_KEY = "PRIVATE_KEY"
    """It has a private key, and a caBundle can be read by everybody."""
    OTHER_BLOCK = "OTHER_BLOCK"
    """A block that is no certificate; in the first place OLM takes it for a damaged CA."""
    UNREADABLE_CERTIFICATE = "UNREADABLE_CERTIFICATE"
    DUPLICATE = "DUPLICATE"
    NOT_A_CA = "NOT_A_CA"
    """A server's certificate: the page's `olmCAKey = server.crt`."""


@dataclass(frozen=True)
class BundleReading:
    """A bundle as it was found.

    Attributes:
        certificates: Its readable certificates in their order, with duplicates.
        problems: What is wrong with it, faults of the file first.
    """

    certificates: tuple[Certificate, ...]
    problems: tuple[PemProblem | BundleProblem, ...]


@dataclass(frozen=True)
class TrustSteps:
    """The bytes of olmCAKey, and of every caBundle, during one change of the serving certificate.

    Attributes:
        widened: While the old leaf still serves: its issuer first, the new CA behind.
        switched: With the new leaf: its issuer first, the old CAs behind.
        narrowed: When every endpoint serves the new leaf.
    """

    widened: bytes
    switched: bytes
    narrowed: bytes


def read_bundle(pem: bytes) -> BundleReading:
    """Read a bundle and name its faults."""
    certificates: list[Certificate] = []
    found: list[BundleProblem] = []
    for block in decode_blocks(pem):
        if block.label.endswith("PRIVATE KEY"):
            found.append(BundleProblem.PRIVATE_KEY)
        elif block.label != CERTIFICATE:
            found.append(BundleProblem.OTHER_BLOCK)
        else:
            try:
                certificates.append(read_certificate(block.content))
            except CertificateError:
                found.append(BundleProblem.UNREADABLE_CERTIFICATE)
    if len({one.sha256 for one in certificates}) != len(certificates):
        found.append(BundleProblem.DUPLICATE)
    if any(not one.is_authority for one in certificates):
        found.append(BundleProblem.NOT_A_CA)
    return BundleReading(tuple(certificates), (*find_problems(pem), *dict.fromkeys(found)))


def write_bundle(certificates: Sequence[Certificate]) -> bytes:
    """Write certificates as one file: each once, in their order, Unix line ends."""
    return b"".join(certificate.pem for certificate in _once(certificates))


def merge_bundles(first: Sequence[Certificate], behind: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Certificates of two bundles without duplicates, those of `first` in front."""
    return tuple(_once([*first, *behind]))


def issuer_in(certificates: Sequence[Certificate], leaf: Certificate) -> Certificate | None:
    """The certificate whose key signed the leaf, if it is among these."""
    return next(
        (
            one
            for one in certificates
            if one.subject_raw == leaf.issuer_raw and not check_signature(leaf, one)
        ),
        None,
    )


def plan_trust_steps(
    present: Sequence[Certificate],
    serving: Certificate | None,
    new_leaf: Certificate,
    new: Sequence[Certificate],
) -> TrustSteps:
    """The three bundles of a change without a moment in which the API server does not trust what serves.

    OLM 0.29.0 and later would replace the Secret if the first block were not the serving leaf's issuer.

    Args:
        present: What is trusted now.
        serving: The leaf that serves now, if one does.
        new_leaf: The leaf that is to serve.
        new: The CA certificates that are to be trusted with it.

    Raises:
        CertificateError: The new leaf's issuer is not among the new certificates.
    """
    issuer = issuer_in(new, new_leaf)
    if issuer is None:
        raise CertificateError(
            "plan the change of trust",
            new_leaf.subject,
            f"the certificate of its issuer `{new_leaf.issuer}`",
            ", ".join(one.subject for one in new) or "no certificate",
            "Put the certificate of the CA that signed the server's certificate into the bundle, also when "
            "it is an intermediate: OLM knows no chain.",
        )
    target = merge_bundles([issuer], new)
    old_issuer = issuer_in(present, serving) if serving else None
    front = [old_issuer] if old_issuer else []
    old = merge_bundles(front, present)
    return TrustSteps(
        widened=write_bundle(merge_bundles(old, target)),
        switched=write_bundle(merge_bundles(target, old)),
        narrowed=write_bundle(target),
    )


def _once(certificates: Sequence[Certificate]) -> Iterator[Certificate]:
    seen: set[str] = set()
    for certificate in certificates:
        if certificate.sha256 not in seen:
            seen.add(certificate.sha256)
            yield certificate
