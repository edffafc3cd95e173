"""Leaf certificates that an OCI authority issues from a request: the leaf's key never leaves its owner.

One certificate object per request, not a new version of one object per cluster: only creating takes a retry
token, and names are unique in a compartment, so a request whose answer was lost finds its certificate and
makes no twin. A new version is a PUT without a token; two runs would each add one.
"""

from dataclasses import dataclass
from datetime import datetime

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.making import TAGS, Recipe, make_once
from tasks.clients.tenancy.sdk import Untyped, oci

PUBLIC_ONLY = "CERTIFICATE_CONTENT_PUBLIC_ONLY"
"""The bundle type that never holds a key."""


@dataclass(frozen=True)
class IssueOrder:
    """What to have issued.

    Attributes:
        name: Of the certificate object; bound to the request, unique in the compartment.
        description: For people who meet the object in the OCI console.
        request: The signing request, PEM.
        not_after: The end; the same in every repetition, as the retry token is bound to the body.
    """

    name: str
    description: str
    compartment_id: str
    authority_id: str
    request: bytes
    not_after: datetime


def issue_certificate(calls: TenancyCalls, order: IssueOrder) -> bytes:
    """Have the certificate issued, or find that it was, wait until it is active, and read it back.

    Returns:
        The leaf, PEM. It is the service's word: the caller judges it.

    Raises:
        TenancyObjectError: Its object failed, or is on its way out.
        TenancyError: The service refuses or does not answer, or the deadline passed.
    """
    details = _details(order)
    recipe = Recipe(
        kind="certificate",
        name=order.name,
        details=details,
        listed=lambda: calls.pages(
            Service.CERTIFICATES,
            "list_certificates",
            compartment_id=order.compartment_id,
            name=order.name,
        ),
        create=lambda token: calls.get(
            Service.CERTIFICATES, "create_certificate", details, opc_retry_token=token
        ),
        read=lambda identifier: calls.get(Service.CERTIFICATES, "get_certificate", identifier),
        good="ACTIVE",
    )
    identifier = make_once(calls, recipe)
    bundle = calls.get(
        Service.CERTIFICATE_BUNDLES,
        "get_certificate_bundle",
        identifier,
        stage="CURRENT",
        certificate_bundle_type=PUBLIC_ONLY,
    )
    return str(bundle.certificate_pem).encode()


def read_authority_chain(calls: TenancyCalls, authority_id: str) -> tuple[bytes, bytes]:
    """The certificate of an authority's current version, and those above it in the service's order; PEM.

    Raises:
        TenancyError: The service refuses or does not answer.
    """
    bundle = calls.get(Service.CERTIFICATE_BUNDLES, "get_certificate_authority_bundle", authority_id)
    return str(bundle.certificate_pem).encode(), str(bundle.cert_chain_pem or "").encode()


def _details(order: IssueOrder) -> Untyped:
    models = oci().certificates_management.models
    return models.CreateCertificateDetails(
        name=order.name,
        description=order.description,
        compartment_id=order.compartment_id,
        freeform_tags=TAGS,
        certificate_config=models.CreateCertificateManagedExternallyIssuedByInternalCaConfigDetails(
            issuer_certificate_authority_id=order.authority_id,
            csr_pem=order.request.decode(),
            validity=models.Validity(time_of_validity_not_after=order.not_after.replace(microsecond=0)),
        ),
    )
