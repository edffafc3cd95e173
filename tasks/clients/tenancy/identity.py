"""Who signs requests, and how the problems on the way to that are collected into one message."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.clients.tenancy.sdk import Untyped
from tasks.core.errors import TenancyError

_LONG_TOKEN = re.compile(r"[A-Za-z0-9+/=_.-]{48,}")


@dataclass(frozen=True)
class Identity:
    """A signer and what the SDK's clients want to know beside it.

    Attributes:
        tenancy_id: The tenancy that it signs for.
        signer: The SDK's signer. It holds a private key: never log or store it.
        config: Fields that the SDK checks for plain API keys; empty for the other signers.
    """

    tenancy_id: str
    signer: Untyped = field(repr=False)
    config: dict[str, str] = field(default_factory=dict, repr=False)

    def config_for(self, region: str) -> dict[str, str]:
        """What a client of a region gets as its configuration."""
        return {**self.config, "region": region}


def sign_in_error(kind: str, problems: Iterable[str]) -> TenancyError:
    """One error for everything that is wrong with a way to sign in."""
    return TenancyError(
        "sign in to OCI",
        kind,
        found="; ".join(problems),
        next_step="Correct the OciTenancy block or what it refers to.",
    )


def reason_of(error: BaseException) -> str:
    """A library's message without anything that could be a token or a key."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {_LONG_TOKEN.sub('…', text)[:200]}".rstrip(": ")
