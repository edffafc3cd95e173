"""What a registry's answers mean, as errors."""

import json

from tasks.clients.registry.access import Credentials
from tasks.clients.web import Answer
from tasks.core.errors import RegistryError

_MESSAGE_LIMIT = 200


class RegistryDeniedError(RegistryError):
    """401 or 403: the credentials are missing, wrong, or may not read this repository."""


class RegistryNotFoundError(RegistryError):
    """404: no such repository, tag or digest, or not for these credentials."""


class RegistryContentError(RegistryError):
    """The bytes are not what their digest, size or media type says."""


class RegistryDigestError(RegistryContentError):
    """The bytes have another digest than the one that was asked for or announced."""


def error_from_answer(
    answer: Answer, attempted: str, subject: str, credentials: Credentials
) -> RegistryError:
    """Choose the error for a status that is no success; says which credentials were used."""
    found = f"HTTP {answer.status} with {credentials}{_registry_message(answer.body)}"
    if answer.status in (401, 403):
        return RegistryDeniedError(
            attempted,
            subject,
            "access",
            found,
            "Check the ContainerRegistry block: its credentials, and their right to pull this repository.",
        )
    if answer.status == 404:  # noqa: PLR2004 - HTTP
        return RegistryNotFoundError(
            attempted,
            subject,
            "an existing image",
            found,
            "Check repository and tag; some registries say 404 where the credentials are not sufficient.",
        )
    return RegistryError(attempted, subject, "HTTP 200", found)


def _registry_message(body: bytes) -> str:
    # OCI distribution specification, "Error codes": {"errors": [{"code", "message", "detail"}]}.
    try:
        first = json.loads(body)["errors"][0]
        text = f"{first.get('code', '')} {first.get('message', '')}".strip()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    shown = "".join(character for character in text if character.isprintable())[:_MESSAGE_LIMIT]
    return f": {shown}" if shown else ""
