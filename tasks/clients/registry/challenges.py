"""What a registry asks for when it answers 401, and whether the token server it names can be trusted.

RFC 9110 section 11.6.1 (WWW-Authenticate), and the token authentication of the distribution project
(distribution docs/content/spec/auth/token.md).
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from tasks.clients.registry.access import RegistryAccess
from tasks.clients.web import is_loopback
from tasks.core.errors import RegistryError

_TOKEN = r"[A-Za-z0-9!\#$%&'*+.^_`|~-]+"  # noqa: S105 - a token of the HTTP grammar
_PART = re.compile(
    rf"""[\s,]*+ (?:
        (?P<key>{_TOKEN}) \s*=\s* (?: "(?P<quoted>(?:[^"\\]|\\.)*+)" | (?P<plain>{_TOKEN}) )
        | (?P<scheme>(?>{_TOKEN})) (?!\s*=)
    )""",
    re.VERBOSE,
)
_MAX_HEADER_CHARACTERS = 4096
# Below these names everybody can get a host of their own, so two of them need not belong together.
_SHARED_SUFFIXES = frozenset({"amazonaws.com", "azurecr.io", "azurewebsites.net", "run.app"})
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})


@dataclass(frozen=True)
class Challenge:
    """One way to authenticate.

    Attributes:
        scheme: In lower case: `bearer` or `basic`.
        parameters: Their names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read all WWW-Authenticate headers of an answer; what is malformed ends its header."""
    return [challenge for header in headers for challenge in _challenges(header[:_MAX_HEADER_CHARACTERS])]


def _challenges(header: str) -> Iterator[Challenge]:
    scheme, parameters, position = "", dict[str, str](), 0
    while match := _PART.match(header, position):
        position = match.end()
        if match["scheme"]:
            if scheme:
                yield Challenge(scheme, parameters)
            scheme, parameters = match["scheme"].lower(), {}
        else:
            quoted = match["quoted"]
            value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters[match["key"].lower()] = value
    if scheme:
        yield Challenge(scheme, parameters)


def pull_scope(challenge: Challenge, repository: str) -> str:
    """The scope to ask a token for: reading only, whatever the challenge says.

    Registries that leave the scope out (OCIR among them) expect the client to know it.
    """
    scopes = [scope.split(":") for scope in challenge.parameters.get("scope", "").split()]
    names = [":".join(parts[1:-1]) for parts in scopes if parts[0] == "repository" and len(parts) >= 3]  # noqa: PLR2004 - type:name:actions
    return " ".join(f"repository:{name}:pull" for name in names) or f"repository:{repository}:pull"


def trusted_realm(challenge: Challenge, access: RegistryAccess, attempted: str) -> httpx.URL:
    """The token server of a challenge, if it may see the credentials.

    It may when it is reached by https (or on this machine, if the registry is) and is the registry's own
    host, a host under the same registrable domain, or in `access.token_realms`.

    Raises:
        RegistryError: It may not; nothing was sent to it.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        url = httpx.URL(realm)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.userinfo:
        raise RegistryError(attempted, access.host, "a token server in the challenge", repr(realm[:100]))
    local = is_loopback(url.host) and is_loopback(access.host_name)
    if url.scheme != "https" and not (url.scheme == "http" and local):
        raise RegistryError(attempted, access.host, "a token server with https", f"{url.scheme}://{url.host}")
    if not _belongs(url.host, access):
        raise RegistryError(
            attempted,
            access.host,
            "a token server of the registry's own domain",
            f"{url.host}; nothing was sent to it",
            "If it is right, add this host to token_realms in the ContainerRegistry block.",
        )
    return url


def _belongs(realm_host: str, access: RegistryAccess) -> bool:
    allowed = {host.lower() for host in access.token_realms}
    registry_host = httpx.URL(access.url).host
    if realm_host in (registry_host, *allowed):
        return True
    parent = _registrable(registry_host)
    return parent is not None and parent == _registrable(realm_host)


def _registrable(host: str) -> str | None:
    # Without the public suffix list: two labels, three under a country's second-level domains.
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
    else:
        return None
    country = len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2  # noqa: PLR2004 - labels
    wanted = 3 if country else 2
    parent = ".".join(labels[-wanted:])
    return parent if len(labels) >= wanted and parent not in _SHARED_SUFFIXES else None
