"""Requests and answers of the rehearsal's tenancy, without HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class RefusedError(Exception):
    """A request that is answered with an error of the service, in OCI's form.

    Args:
        status: The HTTP status.
        code: OCI's error code, such as NotAuthorizedOrNotFound.
        message: What the service says.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


def not_found() -> RefusedError:
    """What OCI says about objects that are absent and about those that the caller may not see."""
    return RefusedError(
        404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found."
    )


@dataclass(frozen=True)
class Caller:
    """Who signed a request. `tenancy_id` decides which tenancy it is answered from."""

    tenancy_id: str
    principal_id: str


@dataclass(frozen=True)
class Request:
    """A request whose signature was verified."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def required(self, name: str) -> str:
        """A query parameter that the service cannot do without."""
        value = self.query.get(name, "")
        if not value:
            raise RefusedError(400, "MissingParameter", f"{name} is missing")
        return value


@dataclass(frozen=True)
class Answer:
    """What is sent back: JSON data, or bytes that are something else."""

    data: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """All items of a list. `wrapped` lists come as `{"items": […]}`, the others as plain arrays."""

    items: Sequence[Any]
    wrapped: bool = False


Handler = Callable[[Request], Answer | Listing]


@dataclass(frozen=True)
class Route:
    """One operation: a method, a path with `{names}`, and what answers it."""

    method: str
    path: str
    handler: Handler

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The values of the path's names when the request is for this operation."""
        wanted, found = self.path.split("/"), path.split("/")
        if method != self.method or len(wanted) != len(found):
            return None
        values: dict[str, str] = {}
        for expected, actual in zip(wanted, found, strict=True):
            if expected.startswith("{"):
                values[expected.strip("{}")] = actual
            elif expected != actual:
                return None
        return values
