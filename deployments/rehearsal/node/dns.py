"""A name server for Services, as far as Go's and libc's resolvers ask one (RFC 1035, section 4); no I/O."""

import struct
from collections.abc import Callable

ADDRESS = "127.0.0.53"
"""Where it listens inside a sandbox."""

Lookup = Callable[[str], str | None]
"""The IPv4 address of a fully qualified name without its last dot; None when there is no such name."""

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_ANSWER = struct.Struct("!HHHIH4s")
_POINTER_TO_QUESTION = 0xC00C
_TYPE_A, _CLASS_IN = 1, 1
_IS_ANSWER = 0x8000 | 0x0400  # response, authoritative
_RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x0100, 0x0080
_NO_SUCH_NAME = 3
_TTL_SECONDS = 1


def resolver_file(namespace: str) -> str:
    """The `resolv.conf` of a pod, as a kubelet writes it for dnsPolicy ClusterFirst."""
    search = f"{namespace}.svc.cluster.local svc.cluster.local cluster.local"
    return f"nameserver {ADDRESS}\nsearch {search}\noptions ndots:5\n"


def answer_query(query: bytes, lookup: Lookup) -> bytes:
    """Answer one query; empty bytes for one that is not understood, which is then not answered at all."""
    try:
        identifier, flags, questions, *_ = _HEADER.unpack_from(query)
        name, end = _name(query, _HEADER.size)
        kind, kind_class = _QUESTION.unpack_from(query, end)
    except (struct.error, IndexError, UnicodeDecodeError):
        return b""
    if questions != 1:
        return b""
    question = query[_HEADER.size : end + _QUESTION.size]
    address = lookup(name.lower()) if kind_class == _CLASS_IN else None
    found = b""
    if address is not None and kind == _TYPE_A:
        octets = bytes(int(part) for part in address.split("."))
        found = _ANSWER.pack(_POINTER_TO_QUESTION, _TYPE_A, _CLASS_IN, _TTL_SECONDS, len(octets), octets)
    result = 0 if address is not None else _NO_SUCH_NAME
    reply = _IS_ANSWER | _RECURSION_AVAILABLE | (flags & _RECURSION_DESIRED) | result
    return _HEADER.pack(identifier, reply, 1, 1 if found else 0, 0, 0) + question + found


def _name(message: bytes, start: int) -> tuple[str, int]:
    labels = []
    position = start
    while length := message[position]:
        label = message[position + 1 : position + 1 + length]
        if len(label) < length:
            raise IndexError
        labels.append(label.decode("ascii"))
        position += 1 + length
    return ".".join(labels), position + 1
