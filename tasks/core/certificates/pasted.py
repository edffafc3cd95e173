"""Certificates that a person pasted into a form, and which request each is for.

A form's one-line field drops the ends of lines, a mail client adds blanks and text round the blocks: what
lies between the marks is read without regard to that. Nothing in the text is trusted: a certificate counts
for the request whose public key it has, and is judged like any other that came back from a CA.
"""

import base64
import binascii
import re
from collections.abc import Collection
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
    authorities: tuple[Certificate, ...] = ()

    def for_key(self, spki_sha256: str) -> Certificate:
        """The one certificate for a public key.

        Raises:
            CertificateError: There is none, or there are several.
        """
        found = [leaf for leaf in self.leaves if leaf.spki_sha256 == spki_sha256]
        if len(found) != 1:
            serials = ", ".join(leaf.serial for leaf in found)
            raise CertificateError(
                "find the pasted certificate of a request",
                f"public key {spki_sha256}",
                "one certificate",
                f"{len(found)}: serials {serials}" if found else "none for this key",
                "Paste the one that was signed from the request of the artifact.",
            )
        return found[0]

    def strangers(self, spkis: Collection[str]) -> tuple[str, ...]:
        """The certificates that are for none of these public keys, in words."""
        return tuple(
            f"`{leaf.subject}`, serial {leaf.serial}, public key {leaf.spki_sha256}"
            for leaf in self.leaves
            if leaf.spki_sha256 not in spkis
        )


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
