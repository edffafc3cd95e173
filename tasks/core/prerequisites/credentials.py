"""The operator's OCI credentials in the cluster: the Secret `ocicredentials` of OSOK 1.1.9.

Source: OSOK v1.1.9 `pkg/authhelper`, `config/manager/manager.yaml`. The operator signs as a user if and only
if one of the Secret's values is not empty, whatever the Secret `…osokconfig` says; otherwise as its instance.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tasks.core.manifests import Manifest
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding

CREDENTIALS_SECRET = "ocicredentials"  # noqa: S105 - the name of a Secret
CONFIG_SECRET = "oci-service-operator-osokconfig"  # noqa: S105 - the name of a Secret
"""As the bundle of 1.1.9 brings it; the documentation's `osokconfig` with kustomize's prefix."""
_REQUIRED = ("tenancy", "user", "fingerprint", "region", "privatekey")
_FILL_IN = "Fill in the Secret ocicredentials, then restart the operator: it reads it only at its start."


class OperatorIdentity(StrEnum):
    """Whom the operator is meant to call OCI as."""

    USER = "USER"
    INSTANCE_PRINCIPAL = "INSTANCE_PRINCIPAL"


@dataclass(frozen=True)
class _Credentials:
    """The decoded Secret. Its values never reach a finding, except names, OCIDs and fingerprints."""

    values: Mapping[str, str]

    def value(self, key: str) -> str:
        """A value without white space around it; empty where it is absent."""
        return self.values.get(key, "").strip()


def check_credentials(
    secret: Manifest | None, namespace: str, identity: OperatorIdentity, regions: Collection[str]
) -> tuple[Finding, ...]:
    """Whether the Secret fits the identity that is wanted.

    Args:
        secret: The Secret as it was read; None when it is absent.
        namespace: The operator's namespace, for messages.
        identity: Whom the operator is meant to be.
        regions: The regions that are known, as `eu-frankfurt-1`.
    """
    where = f"Secret {namespace}/{CREDENTIALS_SECRET}"
    check = Check(CheckGroup.CLUSTER, "R23", "operator's credentials", where)
    values = _decode(secret)
    if values is None:
        return (check.failed("its data is not base64", _FILL_IN),)
    filled = any(value.strip() for value in values.values())
    match identity:
        case OperatorIdentity.INSTANCE_PRINCIPAL if filled:
            reason = "it has values, so the operator signs as a user and not as its instance"
            return (check.failed(reason, f"Empty or delete the {where}, then restart the operator."),)
        case OperatorIdentity.INSTANCE_PRINCIPAL:
            return (check.passed(),)
        case OperatorIdentity.USER if not filled:
            return (check.failed("it is absent or empty, so the operator signs as its instance", _FILL_IN),)
        case OperatorIdentity.USER:
            return _check_user(_Credentials(values), where, regions)


def check_config_secret(secret: Manifest | None, namespace: str, name: str = CONFIG_SECRET) -> Finding:
    """The Secret changes nothing in 1.1.9, but without it the operator's pod cannot start.

    The bundle brings it, so that before an installation it is usually absent.
    """
    check = Check(CheckGroup.CLUSTER, "R23", "operator's configuration", f"Secret {namespace}/{name}")
    if secret is not None:
        return check.passed()
    return check.warned(
        "it is absent, and the pod's reference to it is not optional (CreateContainerConfigError)",
        "The operator's bundle brings it. Where the operator is installed already, create it with the key "
        f"useinstanceprincipal in the namespace {namespace}.",
    )


def _decode(secret: Manifest | None) -> dict[str, str] | None:
    data = (secret or {}).get("data") or {}
    try:
        return {key: base64.b64decode(value, validate=True).decode() for key, value in data.items()}
    except (binascii.Error, UnicodeDecodeError):
        return None


def _check_user(credentials: _Credentials, where: str, regions: Collection[str]) -> tuple[Finding, ...]:
    return (
        _check_completeness(credentials, where),
        _check_ocids(credentials, where),
        _check_key(credentials, where),
        _check_region(credentials, where, regions),
    )


def _check_completeness(credentials: _Credentials, where: str) -> Finding:
    check = Check(CheckGroup.CLUSTER, "R23", "operator's credentials: completeness", where)
    missing = [key for key in _REQUIRED if not credentials.value(key)]
    if "passphrase" not in credentials.values:
        missing.append("passphrase (may be empty)")
    if missing:
        return check.failed(f"it lacks {', '.join(missing)}: partly filled is the worst case", _FILL_IN)
    return check.passed()


def _check_ocids(credentials: _Credentials, where: str) -> Finding:
    evidence = f"{where}: tenancy {credentials.value('tenancy')}, user {credentials.value('user')}"
    check = Check(CheckGroup.CLUSTER, "R23", "operator's credentials: identity", evidence)
    wrong = [kind for kind in ("tenancy", "user") if not _is_ocid(credentials.value(kind), kind)]
    if wrong:
        return check.failed(f"{' and '.join(wrong)} is no OCID of that kind", _FILL_IN)
    return check.passed()


def _is_ocid(value: str, kind: str) -> bool:
    return value.startswith(f"ocid1.{kind}.")


def _check_region(credentials: _Credentials, where: str, regions: Collection[str]) -> Finding:
    region = credentials.value("region")
    check = Check(CheckGroup.CLUSTER, "R23", "operator's credentials: region", f"{where}: {region or 'none'}")
    if region in regions:
        return check.passed()
    return check.failed(f"{region or 'nothing'} is no region such as us-ashburn-1", _FILL_IN)


def _check_key(credentials: _Credentials, where: str) -> Finding:
    stated = credentials.value("fingerprint")
    check = Check(CheckGroup.CLUSTER, "R23", "operator's credentials: key", f"{where}: {stated or 'none'}")
    passphrase = credentials.value("passphrase")
    try:
        key = serialization.load_pem_private_key(
            credentials.value("privatekey").encode(), passphrase.encode() if passphrase else None
        )
    except TypeError:
        reason = "key and passphrase do not fit: one of both is there without the other"
        return check.failed(reason, _FILL_IN)
    except ValueError:
        # The reason of the library may quote the key, so it is left out.
        return check.failed("the private key cannot be read (not PEM, or another passphrase)", _FILL_IN)
    if not isinstance(key, rsa.RSAPrivateKey):
        return check.failed("the private key is not RSA", _FILL_IN)
    found = fingerprint_of(key.public_key())
    if found != stated.lower():
        return check.failed(f"the key's fingerprint is {found}, not {stated or 'none'}", _FILL_IN)
    return check.passed()


def fingerprint_of(key: rsa.RSAPublicKey) -> str:
    """An API key's fingerprint as OCI shows it: MD5 of the public key's DER, in colon-separated pairs."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))
