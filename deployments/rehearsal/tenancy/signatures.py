"""Verifies request signatures as OCI does: draft-cavage-http-signatures-08 with RSA-SHA256, version 1."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from deployments.rehearsal.tenancy.answers import Caller, RefusedError

_SKEW = timedelta(minutes=5)
_ALWAYS = frozenset({"(request-target)", "host"})
_WITH_BODY = {"content-length", "content-type", "x-content-sha256"}

KeyFinder = Callable[[str], tuple[rsa.RSAPublicKey, Caller] | None]
"""Gives the public key and the caller of a key id."""


@dataclass(frozen=True)
class SignedRequest:
    """What a signature covers. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def verify(
    request: SignedRequest, find_key: KeyFinder, now: datetime, always: frozenset[str] = _ALWAYS
) -> Caller:
    """Check the signature, the headers it has to cover (`always` and the body's), the digest and the clock.

    Raises:
        RefusedError: One of them is wrong (401 NotAuthenticated).
    """
    fields = dict(re.findall(r'(\w+)="([^"]*)"', request.headers.get("authorization", "")))
    found = find_key(fields.get("keyId", ""))
    if found is None:
        raise _refuse("the key id is not known")
    covered = fields.get("headers", "").split()
    _check_coverage(request, set(covered), always)
    _check_date(request.headers, covered, now)
    key, caller = found
    try:
        key.verify(
            base64.b64decode(fields.get("signature", "")),
            "\n".join(_line(request, name) for name in covered).encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except (InvalidSignature, ValueError):
        raise _refuse("the signature does not fit the key") from None
    return caller


def _check_coverage(request: SignedRequest, covered: set[str], always: frozenset[str]) -> None:
    needed = always | (_WITH_BODY if request.method in ("POST", "PUT", "PATCH") else set())
    if needed - covered or not covered & {"date", "x-date"}:
        raise _refuse(f"the signature has to cover {', '.join(sorted(needed | {'date'}))}")
    if "x-content-sha256" not in covered:
        return
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    if request.headers.get("x-content-sha256") != digest:
        raise _refuse("the digest is not the body's")


def _check_date(headers: Mapping[str, str], covered: list[str], now: datetime) -> None:
    name = "x-date" if "x-date" in covered else "date"
    try:
        sent = parsedate_to_datetime(headers.get(name, ""))
    except ValueError:
        raise _refuse("there is no date") from None
    if abs(now - sent) > _SKEW:
        raise _refuse("the date is more than five minutes away")


def _line(request: SignedRequest, name: str) -> str:
    if name == "(request-target)":
        return f"{name}: {request.method.lower()} {request.target}"
    return f"{name}: {request.headers.get(name, '')}"


def _refuse(reason: str) -> RefusedError:
    return RefusedError(401, "NotAuthenticated", f"The required information could not be verified: {reason}.")
