"""Image pull Secrets, read and matched with images as the kubelet does it.

Source: Kubernetes `pkg/credentialprovider/config.go` (entries), `keyring.go` (matching) and
`secrets/secrets.go` (which Secrets count).
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import SecretStr

from tasks.core.errors import InputError
from tasks.core.manifests import Manifest
from tasks.core.references import ImageReference

_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_KEY = "index.docker.io"
_ATTEMPTED = "read the image pull Secret"


@dataclass(frozen=True)
class RegistryLogin:
    """A user and a password for a registry; the password never shows."""

    username: str
    password: SecretStr


@dataclass(frozen=True)
class PullSecret:
    """The logins of a Secret.

    Attributes:
        logins: By location: `host[:port][/path]`, where the host may have `*` in its labels.
    """

    logins: Mapping[str, RegistryLogin]

    def logins_for(self, reference: ImageReference) -> tuple[RegistryLogin, ...]:
        """What the kubelet tries for an image, in its order: the longer path of a host comes first.

        Empty: it pulls without credentials.
        """
        fitting = [place for place in sorted(self.logins, reverse=True) if _fits(place, reference)]
        if not fitting and reference.registry == _DOCKER_HUB and _DOCKER_HUB_KEY in self.logins:
            fitting = [_DOCKER_HUB_KEY]
        return tuple(self.logins[place] for place in fitting)


def read_pull_secret(secret: Manifest, subject: str) -> PullSecret:
    """Read the logins of a Secret.

    Args:
        secret: As the API gives it.
        subject: Its namespace and name, for messages.

    Raises:
        InputError: The kubelet would ignore or refuse it. The message quotes nothing of its data.
    """
    kind = str(secret.get("type", "Opaque"))
    if kind not in _KEYS:
        raise InputError(_ATTEMPTED, subject, f"the type {' or '.join(_KEYS)}", kind)
    document = _json(str((secret.get("data") or {}).get(_KEYS[kind], "")), f"{subject} {_KEYS[kind]}")
    entries = document.get("auths", {}) if kind.endswith("json") else document
    if not isinstance(entries, dict):
        raise InputError(_ATTEMPTED, subject, "an object auths", type(entries).__name__)
    return PullSecret({_location(place): _login(entry, subject, place) for place, entry in entries.items()})


def _json(encoded: str, subject: str) -> Manifest:
    # The causes are dropped: they quote the data.
    try:
        document = json.loads(base64.b64decode(encoded, validate=True))
    except (ValueError, RecursionError):
        raise InputError(_ATTEMPTED, subject, "JSON in base64", "something else") from None
    if not isinstance(document, dict):
        raise InputError(_ATTEMPTED, subject, "a JSON object", f"a {type(document).__name__}")
    return document


def _login(entry: object, subject: str, place: str) -> RegistryLogin:
    fields = entry if isinstance(entry, dict) else {}
    if not fields.get("auth"):
        return RegistryLogin(str(fields.get("username", "")), SecretStr(str(fields.get("password", ""))))
    text = str(fields["auth"]).strip().rstrip("=")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    username, colon, password = decoded.partition(":")
    if not colon:
        expected, found = "user:password in base64", "something else"
        raise InputError(_ATTEMPTED, f"{subject}, auth of {place[:100]}", expected, found)
    return RegistryLogin(username, SecretStr(password))


def _location(text: str) -> str:
    host, slash, path = text.removeprefix("https://").removeprefix("http://").partition("/")
    path = slash + path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return host if path in ("", "/") else host + path


def _fits(location: str, reference: ImageReference) -> bool:
    place, slash, path = location.partition("/")
    (wanted, wanted_port), (host, port) = _host_and_port(place), _host_and_port(reference.registry)
    patterns, labels = wanted.split("."), host.split(".")
    return (
        wanted_port == port
        and len(patterns) == len(labels)
        and all(fnmatchcase(label, pattern) for label, pattern in zip(labels, patterns, strict=True))
        # The kubelet compares characters, not path segments.
        and f"/{reference.repository}".startswith(slash + path)
    )


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and port.isdigit() else (text, "")
