"""How missing prerequisites are to be made: the typed parameters of `create-prerequisites`."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class VaultKind(StrEnum):
    """The kinds of vaults that OCI makes."""

    DEFAULT = "DEFAULT"
    """Keys in a shared HSM partition."""
    VIRTUAL_PRIVATE = "VIRTUAL_PRIVATE"
    """An HSM partition of one's own, billed for as long as the vault exists."""


class IamChanges(StrEnum):
    """Whether rights are granted by this product."""

    LEAVE = "LEAVE"
    """The report names the statements; somebody else adds them."""
    CREATE = "CREATE"
    """A policy with the missing statements is created, and a dynamic group where none fits the nodes."""


class CreationWishes(BaseModel):
    """What to make with, where something is missing. What exists is used as it is, or stops the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vault_kind: VaultKind = Field(
        default=VaultKind.DEFAULT,
        description="Kind of a new vault. VIRTUAL_PRIVATE is billed continuously.",
    )
    key_bits: Literal[2048, 4096] = Field(default=2048, description="Length of a new RSA key (R25).")
    authority_common_name: str = Field(
        default="Service Mesh Root CA", min_length=1, max_length=64, description="Subject of a new authority."
    )
    authority_days: int = Field(default=3650, ge=365, description="How long a new authority lives, in days.")
    leaf_days: int = Field(
        default=90, ge=46, description="Longest validity of certificates that the authority allows (R26)."
    )
    certificate_days: int = Field(
        default=90, ge=2, description="How long a new gateway certificate lives; OCI renews it at two thirds."
    )
    iam: IamChanges = Field(default=IamChanges.LEAVE, description="Whether rights are granted by this run.")

    @model_validator(mode="after")
    def _certificate_fits(self) -> "CreationWishes":
        if self.certificate_days > self.leaf_days:
            raise ValueError("certificate_days: the authority allows no more than leaf_days")
        return self
