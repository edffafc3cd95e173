"""Whether a certificate's names cover a host name, by RFC 9525 section 6.3."""

from collections.abc import Iterable

_LABELS_BELOW_A_WILDCARD = 2


def uncovered_hosts(hosts: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """The hosts that no name covers, in their order."""
    presented = list(names)
    return tuple(host for host in hosts if not any(_covers(name, host) for name in presented))


def _covers(name: str, host: str) -> bool:
    wanted = host.rstrip(".").casefold().split(".")
    presented = name.rstrip(".").casefold().split(".")
    if presented == wanted or presented[0] != "*":
        return presented == wanted
    # The wildcard is the whole left-most label and stands for exactly one; it never stands under a
    # top-level domain alone, which public clients refuse.
    return (
        len(presented) > _LABELS_BELOW_A_WILDCARD
        and len(wanted) == len(presented)
        and wanted[1:] == presented[1:]
    )
