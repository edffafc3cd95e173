"""The order of CA certificates that OLM and the API server need: the issuing CA first."""

from collections.abc import Sequence

from tasks.core.certificates.certificate import Certificate, check_signature


def issuing_first(issuing: Certificate, others: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """The issuing CA, then those above it up to the root, each once; what is not above it is left out.

    OLM reads the first block of olmCAKey alone and takes it for the root, so the issuing CA comes first. The
    order of a chain that a service gives is not promised, so it is made from issuers and signatures.
    """
    ordered, rest = [issuing], [one for one in others if one.sha256 != issuing.sha256]
    while above := next((one for one in rest if _issued(one, ordered[-1])), None):
        ordered.append(above)
        rest = [one for one in rest if one.sha256 != above.sha256]
    return tuple(ordered)


def _issued(above: Certificate, below: Certificate) -> bool:
    return above.subject_raw == below.issuer_raw and not check_signature(below, above)
