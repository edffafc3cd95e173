"""Which registry, which credentials, and whom else to trust with them."""

import base64
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr
from typing_extensions import override

from tasks.clients.web import is_loopback
from tasks.core.errors import InputError

_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True)
class Anonymous:
    """No credentials."""

    @override
    def __str__(self) -> str:
        """As messages name it."""
        return "no credentials (anonymous)"


@dataclass(frozen=True)
class BasicCredentials:
    """A user name and a password, or an auth token in the password's place (OCIR)."""

    username: str
    password: SecretStr

    @override
    def __str__(self) -> str:
        """As messages name it: the user, never the password."""
        return f"the credentials of user {self.username!r}"

    def header(self) -> SecretStr:
        """The Authorization header (RFC 7617).

        Raises:
            InputError: The user name holds a colon, which ends it in this scheme.
        """
        if ":" in self.username:
            raise InputError("use the registry's credentials", str(self), "a user name without a colon")
        pair = f"{self.username}:{self.password.get_secret_value()}"
        return SecretStr("Basic " + base64.b64encode(pair.encode()).decode())


@dataclass(frozen=True)
class TokenCredentials:
    """A bearer token that the registry itself accepts."""

    token: SecretStr

    @override
    def __str__(self) -> str:
        """As messages name it."""
        return "a bearer token"

    def header(self) -> SecretStr:
        """The Authorization header (RFC 6750).

        Raises:
            InputError: The token holds characters that cannot stand in a header.
        """
        token = self.token.get_secret_value().strip()
        if not token or not token.isascii() or not token.isprintable():
            raise InputError("use the registry's credentials", str(self), "one line of ASCII characters")
        return SecretStr(f"Bearer {token}")


Credentials = Anonymous | BasicCredentials | TokenCredentials


class Scheme(StrEnum):
    """How the registry is spoken to."""

    HTTPS = "https"
    HTTP = "http"
    """Only on a loopback address."""


@dataclass(frozen=True)
class RegistryAccess:
    """Access to one registry.

    Attributes:
        host: As image references name it, with a port where one is needed.
        credentials: Sent to that host, and to a token server that is trusted.
        token_realms: Hosts of token servers that are trusted although they are not the registry's own.
        scheme: HTTPS, or HTTP on a loopback address.
        ca_certificates: PEM certificates that are trusted besides the public ones.

    Raises:
        InputError: HTTP to a host that is not this machine.
    """

    host: str
    credentials: Credentials = Anonymous()
    token_realms: frozenset[str] = frozenset()
    scheme: Scheme = Scheme.HTTPS
    ca_certificates: str = ""

    def __post_init__(self) -> None:
        """Plain HTTP would show the credentials and the bundle to the network."""
        if self.scheme is Scheme.HTTP and not is_loopback(self.host_name):
            raise InputError("use the registry", self.host, "https", "http outside of this machine")

    @property
    def host_name(self) -> str:
        """The host without its port."""
        name, colon, port = self.host.rpartition(":")
        return (name if colon and port.isdigit() else self.host).strip("[]")

    @property
    def url(self) -> str:
        """The root of the registry's API (OCI distribution specification: `/v2/`)."""
        host = _DOCKER_HUB_API if self.host == _DOCKER_HUB else self.host
        return f"{self.scheme.value}://{host}/v2"
