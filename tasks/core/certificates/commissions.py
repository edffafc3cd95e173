"""What a signer is given for one request."""

from dataclasses import dataclass
from datetime import datetime

from tasks.core.certificates.request_policy import RequestExpectation


@dataclass(frozen=True)
class Commission:
    """One request that was decided about, for whoever signs it.

    Attributes:
        name: Name of the CertificateSigningRequest, which is bound to its bytes.
        request: Its bytes, PEM.
        expectation: What it asks for: names, usages, lifetime, our public key.
        created: When the object was created; the same in every repetition.
        signed: What was pasted for it at the gate, PEM; only where somebody else signs.
    """

    name: str
    request: bytes
    expectation: RequestExpectation
    created: datetime
    signed: str = ""
