"""Signing with a key of one's own: an API key, a configuration file, or a session token."""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tasks.clients.tenancy.identity import Identity, sign_in_error
from tasks.clients.tenancy.sdk import oci
from tasks.core.prerequisites.credentials import fingerprint_of

_FINGERPRINT = re.compile(r"([0-9a-f]{2}:){15}[0-9a-f]{2}")


@dataclass(frozen=True)
class ApiKey:
    """An API key of a user.

    Attributes:
        private_key: The key in PEM.
        passphrase: Its passphrase; empty for none.
    """

    tenancy_id: str
    user_id: str
    fingerprint: str
    private_key: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


def sign_with_api_key(key: ApiKey, kind: str = "API key") -> Identity:
    """Make a signer from an API key.

    Raises:
        TenancyError: Everything that is wrong with it, in one message.
    """
    problems = _api_key_problems(key)
    if problems:
        raise sign_in_error(kind, problems)
    signer = oci().signer.Signer(
        tenancy=key.tenancy_id,
        user=key.user_id,
        fingerprint=key.fingerprint,
        private_key_file_location=None,
        pass_phrase=key.passphrase or None,
        private_key_content=key.private_key,
    )
    # The SDK checks these four for a plain signer, and that there is a key in one of two fields.
    config = {
        "tenancy": key.tenancy_id,
        "user": key.user_id,
        "fingerprint": key.fingerprint,
        "key_content": key.private_key,
        **({"pass_phrase": key.passphrase} if key.passphrase else {}),
    }
    return Identity(key.tenancy_id, signer, config)


def sign_with_config_file(path: Path, profile: str, tenancy_id: str) -> Identity:
    """Make a signer from a profile of an OCI configuration file.

    Raises:
        TenancyError: Everything that is wrong with file, profile and key, in one message.
    """
    kind = f"configuration file {path}, profile {profile}"
    values = _read_profile(path, profile, kind)
    problems = [f"{name} is missing" for name in ("tenancy", "user", "fingerprint") if not values.get(name)]
    problems += _tenancy_problem(values, tenancy_id)
    if values.get("security_token_file"):
        problems.append("it has a security_token_file: use the kind session_token")
    pem = _read_key(values, problems)
    if problems:
        raise sign_in_error(kind, problems)
    return sign_with_api_key(
        ApiKey(values["tenancy"], values["user"], values["fingerprint"], pem, values.get("pass_phrase", "")),
        kind,
    )


def sign_with_session_token(path: Path, profile: str, tenancy_id: str) -> Identity:
    """Make a signer from a session that `oci session authenticate` began.

    Raises:
        TenancyError: Everything that is wrong with file, profile, token and key, in one message.
    """
    kind = f"session token of {path}, profile {profile}"
    values = _read_profile(path, profile, kind)
    problems = _tenancy_problem(values, tenancy_id)
    token = _read_token(values, problems)
    pem = _read_key(values, problems)
    if pem:
        problems += _key_problems(pem, values.get("pass_phrase", ""))[0]
    if problems:
        raise sign_in_error(kind, problems)
    private_key = oci().signer.load_private_key(pem, values.get("pass_phrase"))
    return Identity(tenancy_id, oci().auth.signers.SecurityTokenSigner(token, private_key))


def token_claims(token: str) -> Mapping[str, object]:
    """The claims of a JSON Web Token, whose signature is the service's business; empty for anything else."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature (RFC 7519)
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def _api_key_problems(key: ApiKey) -> list[str]:
    problems = [
        f"the {kind} {value or '(none)'} is no {kind} OCID"
        for kind, value in (("tenancy", key.tenancy_id), ("user", key.user_id))
        if not value.startswith(f"ocid1.{kind}.")
    ]
    if not _FINGERPRINT.fullmatch(key.fingerprint):
        problems.append(f"the fingerprint {key.fingerprint or '(none)'} is malformed")
    found, fingerprint = _key_problems(key.private_key, key.passphrase)
    problems += found
    if fingerprint and fingerprint != key.fingerprint:
        problems.append(f"the key's fingerprint is {fingerprint}")
    return problems


def _key_problems(pem: str, passphrase: str) -> tuple[list[str], str]:
    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase.encode() if passphrase else None)
    except TypeError:
        # The SDK tolerates a passphrase that is not needed.
        return ([], "") if passphrase else (["the private key needs its passphrase"], "")
    except ValueError:
        # The library's reason may quote the key.
        return ["the private key cannot be read: no private key in PEM, or a wrong passphrase"], ""
    if not isinstance(key, rsa.RSAPrivateKey):
        return ["the private key is not RSA"], ""
    return [], fingerprint_of(key.public_key())


def _read_profile(path: Path, profile: str, kind: str) -> dict[str, str]:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.expanduser().read_text())
    except OSError as error:
        raise sign_in_error(kind, [f"the file cannot be read: {error.strerror}"]) from None
    except (ConfigParserError, UnicodeDecodeError):
        raise sign_in_error(kind, ["the file is no OCI configuration file"]) from None
    if profile != parser.default_section and profile not in parser:
        known = ", ".join([parser.default_section, *parser.sections()])
        raise sign_in_error(kind, [f"there is no such profile, only {known}"])
    return dict(parser[profile])


def _tenancy_problem(values: Mapping[str, str], tenancy_id: str) -> list[str]:
    stated = values.get("tenancy", "")
    if not stated or stated == tenancy_id:
        return []
    return [f"it belongs to {stated} and not to the block's tenancy {tenancy_id}"]


def _read_key(values: Mapping[str, str], problems: list[str]) -> str:
    return _read_file(values, "key_file", problems)


def _read_token(values: Mapping[str, str], problems: list[str]) -> str:
    token = _read_file(values, "security_token_file", problems)
    if not token:
        return ""
    claims = token_claims(token)
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        problems.append("the session token is no JSON Web Token with an expiry")
    elif datetime.fromtimestamp(expires, UTC) <= datetime.now(UTC):
        ended = datetime.fromtimestamp(expires, UTC)
        problems.append(
            f"the session ended at {ended:%Y-%m-%d %H:%M} UTC: run oci session refresh or authenticate"
        )
    return token


def _read_file(values: Mapping[str, str], name: str, problems: list[str]) -> str:
    stated = values.get(name, "")
    if not stated:
        problems.append(f"{name} is missing")
        return ""
    try:
        return Path(os.path.expandvars(stated)).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{name} {stated} cannot be read: {type(error).__name__}")
        return ""
