"""Host names and name constraints as Go's crypto/x509 applies them (RFC 6125, RFC 5280 section 4.2.1.10).

The API server and OLM are Go programs, so what counts is their reading: exact or one left-most wildcard
label, the common name never, DNS constraints by whole labels and case-insensitive.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from tasks.core.certificates.certificate import Certificate, Names, Subtrees

_MANY_NAMES = 100
_NOT_AUTHORIZED = "x509: a root or intermediate certificate is not authorized to sign for this name"
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def explain_host_mismatch(certificate: Certificate, host: str) -> str:
    """Check that a certificate names a host.

    Args:
        certificate: The server's certificate.
        host: A DNS name; webhooks are never called by address.

    Returns:
        Nothing when it does, else the reason in the words of Go's x509.HostnameError.
    """
    names = certificate.dns_names
    if any(_matches(pattern, host) for pattern in names):
        return ""
    if certificate.names is None and _labels_match(certificate.common_name, host):
        return "x509: certificate relies on legacy Common Name field, use SANs instead"
    if len(names) >= _MANY_NAMES:
        return f"x509: certificate is valid for {len(names)} names, but none matched {host}"
    if not names:
        return f"x509: certificate is not valid for any names, but wanted to match {host}"
    return f"x509: certificate is valid for {', '.join(names)}, not {host}"


def explain_constraint_violation(chain: Sequence[Certificate]) -> str:
    """Check every name of a chain against the constraints of the certificates above it.

    Args:
        chain: The leaf first, the root last. The root's own constraints count too, as in Go.

    Returns:
        Nothing when all names are permitted, else the reason in Go's words.
    """
    for position, certificate in enumerate(chain):
        if certificate.names is None:
            continue
        for authority in chain[position + 1 :]:
            if authority.constraints and (reason := _violation(certificate.names, authority.constraints)):
                return f"{_NOT_AUTHORIZED}: {reason}"
    return ""


def permits(subtrees: Subtrees | None, dns_names: Sequence[str]) -> bool:
    """Whether a CA with these constraints may sign these DNS names."""
    return subtrees is None or not _violation(Names(dns=tuple(dns_names)), subtrees)


def _matches(pattern: str, host: str) -> bool:
    if _is_valid(host.removesuffix("."), pattern=False) and _is_valid(pattern, pattern=True):
        return _labels_match(pattern, host)
    return pattern not in {"", "."} and host not in {"", "."} and pattern.lower() == host.lower()


def _labels_match(pattern: str, host: str) -> bool:
    wanted, given = host.removesuffix(".").lower().split("."), pattern.lower().split(".")
    if not pattern or len(wanted) != len(given):
        return False
    first = given[0] in {"*", wanted[0]}
    return first and wanted[1:] == given[1:]


def _is_valid(name: str, *, pattern: bool) -> bool:
    labels = name.split(".")
    if pattern and len(labels) > 1 and labels[0] == "*":
        labels = labels[1:]
    return all(_LABEL.fullmatch(label) for label in labels)


def _violation(names: Names, subtrees: Subtrees) -> str:
    for host in names.dns:
        if reason := _dns_violation(host, subtrees):
            return reason
    for address in names.ips:
        if reason := _ip_violation(address, subtrees):
            return reason
    # Go also judges mail addresses and URIs; a webhook's certificate has none: not permitted.
    if names.others and (subtrees.permitted.others or subtrees.excluded.others):
        return f"{names.others[0]} together with constraints of its type"
    return ""


def _dns_violation(host: str, subtrees: Subtrees) -> str:
    permitted = subtrees.permitted.dns
    if permitted and not any(_is_under(host, subtree) for subtree in permitted):
        return f'DNS name "{host}" is not permitted by any constraint'
    for subtree in subtrees.excluded.dns:
        if _is_under(host, subtree) or _wildcard_may_be(host, subtree):
            return f'DNS name "{host}" is excluded by constraint "{subtree}"'
    return ""


def _is_under(host: str, subtree: str) -> bool:
    name, base = host.lower(), subtree.lower()
    if base.startswith("."):
        return name.endswith(base)
    return not base or name == base or name.endswith(f".{base}")


def _wildcard_may_be(host: str, subtree: str) -> bool:
    """Whether `*.x` could stand for the excluded `y.x`."""
    return host.startswith("*.") and host.lower()[1:] == f".{subtree.lower().partition('.')[2]}"


def _ip_violation(address: IPv4Network | IPv6Network, subtrees: Subtrees) -> str:
    permitted = subtrees.permitted.ips
    shown = address.network_address
    if permitted and not any(_contains(subtree, address) for subtree in permitted):
        return f'IP address "{shown}" is not permitted by any constraint'
    for subtree in subtrees.excluded.ips:
        if _contains(subtree, address):
            return f'IP address "{shown}" is excluded by constraint "{subtree}"'
    return ""


def _contains(subtree: IPv4Network | IPv6Network, address: IPv4Network | IPv6Network) -> bool:
    return subtree.version == address.version and address.network_address in subtree
