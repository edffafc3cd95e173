"""Session tokens: JSON Web Tokens that carry the public key which requests are then signed with.

Sessions of users, instances and pods all come in this form (key ids that begin with `ST$`).
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.rehearsal.tenancy.answers import Caller

PREFIX = "ST$"


@dataclass(frozen=True)
class SessionTokens:
    """Issues and reads tokens; `secret` stands for the key of OCI's own token service."""

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def issue(self, caller: Caller, key: rsa.RSAPublicKey, now: datetime, lifetime: timedelta) -> str:
        """A token for a caller who will sign with the private key that belongs to `key`."""
        numbers = key.public_numbers()
        claims = {
            "sub": caller.principal_id,
            "tenant": caller.tenancy_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jwk": json.dumps({"kty": "RSA", "n": f"{numbers.n:x}", "e": f"{numbers.e:x}"}),
        }
        body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{body}.{self._sign(body)}"

    def read(self, token: str, now: datetime) -> tuple[rsa.RSAPublicKey, Caller] | None:
        """Whose token it is, and the key; None for one that is not ours or has expired."""
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._sign(body)):
            return None
        claims = json.loads(_decode(body.partition(".")[2]))
        if claims["exp"] <= now.timestamp():
            return None
        numbers = json.loads(claims["jwk"])
        key = rsa.RSAPublicNumbers(e=int(numbers["e"], 16), n=int(numbers["n"], 16)).public_key()
        return key, Caller(claims["tenant"], claims["sub"])

    def _sign(self, body: str) -> str:
        return base64.urlsafe_b64encode(
            hmac.new(self.secret, body.encode(), hashlib.sha256).digest()
        ).decode()


def _encode(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
