"""Turns what the OCI SDK raises into the errors of this product, at the edge and only here."""

from tasks.clients.tenancy.sdk import Untyped, oci
from tasks.core.errors import TenancyError, TenancyUnavailableError

_MESSAGE_LIMIT = 300
_TOO_MANY_REQUESTS = 429
_NOT_FOUND = 404
_CONFLICTS_THAT_PASS = frozenset({"IncorrectState", "ExternalServerIncorrectState"})


class TenancyNotFoundError(TenancyError):
    """404 NotAuthorizedOrNotFound: the object is absent, or the caller may not see it."""


class TenancyConflictError(TenancyError):
    """409 or 412: the name is taken, or somebody changed the object meanwhile; look again."""


class TenancyAccessError(TenancyError):
    """401: the service does not accept the credentials or the clock of this machine."""


def raised_by_requests() -> tuple[type[Exception], ...]:
    """What a request through the SDK can end in, apart from bugs."""
    exceptions = oci().exceptions
    return (
        exceptions.ServiceError,
        exceptions.RequestException,
        exceptions.ConnectTimeout,
        # Resets reach us from below the SDK's HTTP library too.
        OSError,
    )


def convert(error: Exception, attempted: str, subject: str) -> TenancyError:
    """Choose the error class; the message never holds headers, which carry signatures."""
    if not isinstance(error, oci().exceptions.ServiceError):
        return TenancyUnavailableError(
            attempted,
            subject,
            "an answer",
            f"{type(error).__name__}",
            "Check the network between the worker and OCI, then run it again.",
        )
    return _from_service_error(error, attempted, subject)


def retry_after(error: Exception) -> float:
    """How many seconds the service asks to wait; 0 where it does not say. Dates are not used by OCI."""
    headers = getattr(error, "headers", None) or {}
    value = str(headers.get("retry-after", ""))
    return float(value) if value.replace(".", "", 1).isdigit() else 0.0


def _from_service_error(error: Untyped, attempted: str, subject: str) -> TenancyError:
    found = f"HTTP {error.status} {error.code}: {str(error.message)[:_MESSAGE_LIMIT]} ({error.request_id})"
    if error.status == _NOT_FOUND:
        return TenancyNotFoundError(
            attempted, subject, found=found, next_step="It is absent, or this identity may not see it."
        )
    if error.status == 401:  # noqa: PLR2004 - HTTP
        return TenancyAccessError(
            attempted,
            subject,
            found=found,
            next_step="Check key, fingerprint, user and tenancy of the OciTenancy block, and the clock.",
        )
    passing = error.status == 409 and error.code in _CONFLICTS_THAT_PASS  # noqa: PLR2004 - HTTP
    if error.status == _TOO_MANY_REQUESTS or error.status >= 500 or passing:  # noqa: PLR2004 - HTTP
        return TenancyUnavailableError(attempted, subject, found=found, next_step="Run it again later.")
    if error.status in (409, 412):
        return TenancyConflictError(
            attempted, subject, found=found, next_step="Look at what is there now, then run it again."
        )
    return TenancyError(attempted, subject, found=found)
