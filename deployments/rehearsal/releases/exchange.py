"""One HTTP request and its answer, as the parts of the release server see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SeenRequest:
    """What arrived.

    Attributes:
        host: The address and port it was sent to.
        method: GET or HEAD.
        path: Without the query.
        query: The first value of each parameter.
        authorization: The Authorization header, empty without one.
    """

    host: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    Attributes:
        status: The HTTP status.
        body: The body; HEAD sends its headers only.
        headers: Besides Content-Length.
        sent_bytes: Break the connection after that many bytes; None sends all.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sent_bytes: int | None = None
