"""Certificates that a person pasted into a form, and which request each is for.

A form's one-line field drops the ends of lines, a mail client adds blanks and text round the blocks: what
lies between the marks is read without regard to that. Nothing in the text is trusted: a certificate counts
for the request whose public key it has, and is judged like any other that came back from a CA.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.reading import read_certificate
from tasks.core.errors import CertificateError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_MARK = re.compile(r"-----(?:BEGIN|END) ")
_CERTIFICATE = "CERTIFICATE"
_PRIVATE = "PRIVATE KEY"
_ATTEMPTED = "read the pasted certificates"


@dataclass(frozen=True)
class Pasted:
    """What was found in a pasted text.

    Attributes:
        leaves: Certificates of servers, in their order, each once.
        authorities: CA certificates beside them. They are never trusted: trust comes from the CA's block.
    """

    leaves: tuple[Certificate, ...]
    authorities: tuple[Certificate, ...]


def read_pasted(text: str) -> Pasted:
    """Find the certificates in a pasted text.

    Raises:
        CertificateError: A block is damaged, is no certificate, or is a private key.
    """
    if _PRIVATE in text:
        raise CertificateError(
            _ATTEMPTED,
            "",
            "certificates alone",
            "a private key",
            "Take it for lost: it was typed into a form. Make another one, and paste certificates only.",
        )
    blocks = _BLOCK.findall(text)
    if len(_MARK.findall(text)) != 2 * len(blocks):
        raise CertificateError(
            _ATTEMPTED, "", "a BEGIN and an END mark for every certificate", "a mark without its counterpart"
        )
    certificates = [_read(label, content, number) for number, (label, content) in enumerate(blocks, 1)]
    found = {one.sha256: one for one in certificates}
    authorities = tuple(one for one in found.values() if one.is_authority)
    return Pasted(tuple(one for one in found.values() if not one.is_authority), authorities)


def assign(pasted: Pasted, requests: Mapping[str, str]) -> dict[str, Certificate]:
    """Match certificates to requests by public key.

    Args:
        pasted: What was pasted.
        requests: Names of the requests' clusters by the fingerprint of their public keys.

    Returns:
        Certificates by cluster; requests without one are left out.

    Raises:
        CertificateError: One is for no request, or a request has two.
    """
    matched: dict[str, Certificate] = {}
    for leaf in pasted.leaves:
        cluster = requests.get(leaf.spki_sha256, "")
        if not cluster:
            raise CertificateError(
                "match the pasted certificates to requests",
                f"certificate `{leaf.subject}`, serial {leaf.serial}",
                f"the public key of a request that was shown: {', '.join(sorted(requests)) or 'none'}",
                f"the public key {leaf.spki_sha256}",
                "Sign the request that the artifact shows, not an older one.",
            )
        if cluster in matched:
            raise CertificateError(
                "match the pasted certificates to requests",
                cluster,
                "one certificate",
                f"two for its key: serials {matched[cluster].serial} and {leaf.serial}",
                "Paste the one that is meant.",
            )
        matched[cluster] = leaf
    return matched


def missing_of(matched: Mapping[str, Certificate], wanted: Sequence[str]) -> tuple[str, ...]:
    """The clusters of `wanted` that have no certificate."""
    return tuple(name for name in wanted if name not in matched)


def _read(label: str, content: str, number: int) -> Certificate:
    place = f"block {number}"
    if label != _CERTIFICATE:
        raise CertificateError(_ATTEMPTED, place, "a block CERTIFICATE", f"a block {label}")
    try:
        der = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CertificateError(_ATTEMPTED, place, "base64 between the marks", f"{error}"[:100]) from None
    try:
        return read_certificate(der)
    except CertificateError as error:
        raise CertificateError(_ATTEMPTED, place, error.expected, error.found) from None
