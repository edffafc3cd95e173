"""Just enough DER (X.690) to read a certificate's names as the bytes that verifiers compare.

The cryptography library re-encodes names and warns about the common names of more than 64 characters that
OLM's own certificates have; path building compares the raw bytes (RFC 5280 section 7.1 allows that).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.core.errors import CertificateError

_SEQUENCE = 0x30
_SET = 0x31
_OBJECT_IDENTIFIER = 0x06
_VERSION = 0xA0
_LONG_FORM = 0x80
_MULTI_BYTE_TAG = 0x1F

# The attribute types of RFC 5280 appendix A.1, as the content of their object identifiers.
_ATTRIBUTES: dict[bytes, str] = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x05": "serialNumber",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
}
_WIDE_STRING = 0x1E


@dataclass(frozen=True)
class DerItem:
    """One tag-length-value.

    Attributes:
        tag: The identifier octet.
        content: The value.
        raw: Tag, length and value.
    """

    tag: int
    content: bytes = field(repr=False)
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class RawNames:
    """Issuer and subject of a certificate as their DER bytes."""

    issuer: bytes
    subject: bytes


def read_items(content: bytes) -> Iterator[DerItem]:
    """The items that follow one another in some bytes.

    Raises:
        CertificateError: They are not DER.
    """
    position = 0
    while position < len(content):
        start, tag = position, content[position]
        length, position = _length(content, position + 1)
        end = position + length
        if tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG or end > len(content):
            raise _not_der(f"a damaged item at byte {start}")
        yield DerItem(tag, content[position:end], content[start:end])
        position = end


def read_names(certificate: bytes) -> RawNames:
    """Find issuer and subject in a certificate (RFC 5280 section 4.1).

    Raises:
        CertificateError: It is not a certificate.
    """
    fields = list(read_items(_inside(_inside(certificate, _SEQUENCE), _SEQUENCE)))
    if fields and fields[0].tag == _VERSION:
        fields = fields[1:]
    # serialNumber, signature, issuer, validity, subject
    if len(fields) < 5 or fields[2].tag != _SEQUENCE or fields[4].tag != _SEQUENCE:  # noqa: PLR2004 - as listed above
        raise _not_der("fields that are not a certificate's")
    return RawNames(fields[2].raw, fields[4].raw)


def read_request_subject(request: bytes) -> bytes:
    """Find the subject in a certification request (RFC 2986 section 4.1).

    Raises:
        CertificateError: It is not a request.
    """
    fields = list(read_items(_inside(_inside(request, _SEQUENCE), _SEQUENCE)))
    # version, subject, subjectPKInfo, attributes
    if len(fields) < 3 or fields[1].tag != _SEQUENCE:  # noqa: PLR2004 - as listed above
        raise _not_der("fields that are not a request's")
    return fields[1].raw


def name_attributes(name: bytes) -> tuple[tuple[str, str], ...]:
    """The attributes of a distinguished name in their order: short type (or its OID in hex) and text.

    Raises:
        CertificateError: It is not a name.
    """
    pairs: list[tuple[str, str]] = []
    for relative in read_items(_inside(name, _SEQUENCE)):
        for attribute in read_items(_content(relative, _SET)):
            kind, value = list(read_items(_content(attribute, _SEQUENCE)))
            identifier = _content(kind, _OBJECT_IDENTIFIER)
            coding = "utf-16-be" if value.tag == _WIDE_STRING else "utf-8"
            text = value.content.decode(coding, "backslashreplace")
            pairs.append((_ATTRIBUTES.get(identifier, identifier.hex()), text))
    return tuple(pairs)


def describe_name(name: bytes) -> str:
    """A distinguished name for people: `O=Red Hat, Inc., CN=olm-selfsigned-1f`, or `(empty)`."""
    return ", ".join(f"{kind}={text}" for kind, text in name_attributes(name)) or "(empty)"


def _length(content: bytes, position: int) -> tuple[int, int]:
    if position >= len(content):
        raise _not_der("an item without a length")
    first = content[position]
    if first < _LONG_FORM:
        return first, position + 1
    end = position + 1 + (first - _LONG_FORM)
    if first == _LONG_FORM or end > len(content):
        raise _not_der("a length that DER does not have")
    return int.from_bytes(content[position + 1 : end]), end


def _inside(content: bytes, tag: int) -> bytes:
    return _content(next(read_items(content), DerItem(0, b"", b"")), tag)


def _content(item: DerItem, tag: int) -> bytes:
    if item.tag != tag:
        raise _not_der(f"tag {item.tag:#04x} instead of {tag:#04x}")
    return item.content


def _not_der(found: str) -> CertificateError:
    return CertificateError("read the names in a certificate or request", "", "DER (RFC 5280, X.690)", found)
