"""The things that `create-prerequisites` can make, each with what a person has to know before agreeing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from tasks.core.prerequisites.wishes import VaultKind


@dataclass(frozen=True)
class Step(ABC):
    """One thing that is made or changed."""

    verb: ClassVar[str] = "create"
    """The first half of the task's name; `noun` is the second."""
    noun: ClassVar[str]
    cost: ClassVar[str]
    undo: ClassVar[str]

    @property
    @abstractmethod
    def description(self) -> str:
        """One line that says what will be made."""


@dataclass(frozen=True)
class CreateDynamicGroup(Step):
    """A dynamic group of the nodes that run the operator."""

    noun = "dynamic-group"
    cost = "none, but it is what rights are granted to"
    undo = "delete it; its rights end at once"
    name: str
    matching_rule: str

    @property
    @override
    def description(self) -> str:
        """Name and rule."""
        return f"dynamic group {self.name}: {self.matching_rule}"


@dataclass(frozen=True)
class CreatePolicy(Step):
    """A policy in the root compartment with the statements that are missing."""

    noun = "policy"
    cost = "none, but it grants rights in the tenancy"
    undo = "delete it; the rights end at once"
    name: str
    statements: tuple[str, ...]

    @property
    @override
    def description(self) -> str:
        """Name and every statement."""
        return f"policy {self.name} in the root compartment: {'; '.join(self.statements)}"


@dataclass(frozen=True)
class CreateVault(Step):
    """R24."""

    noun = "vault"
    cost = "counts against the limit of vaults; VIRTUAL_PRIVATE is billed for as long as it exists"
    undo = "only by schedule, 7 to 30 days; all its keys die with it"
    name: str
    kind: VaultKind

    @property
    @override
    def description(self) -> str:
        """Name and kind."""
        return f"vault {self.name} of the kind {self.kind.value}"


@dataclass(frozen=True)
class CreateKey(Step):
    """R25: an RSA key in the HSM."""

    noun = "key"
    cost = "HSM key versions are billed beyond the free ones"
    undo = "only by schedule, 7 to 30 days; what it protects is lost; the HSM mode stays"
    name: str
    bits: int

    @property
    @override
    def description(self) -> str:
        """Name and length."""
        return f"key {self.name}: RSA {self.bits} in the HSM"


@dataclass(frozen=True)
class CreateAuthority(Step):
    """R26: a root authority on the key."""

    noun = "certificate-authority"
    cost = "counts against the limit of authorities"
    undo = "only by schedule, 7 days or more, once all its certificates are gone"
    name: str
    common_name: str
    days: int
    leaf_days: int

    @property
    @override
    def description(self) -> str:
        """Name, subject, lifetime and rule."""
        return (
            f"certificate authority {self.name} ({self.common_name}) for {self.days} days, "
            f"certificates up to {self.leaf_days} days"
        )


@dataclass(frozen=True)
class RaiseLeafRule(Step):
    """R26: a longer validity of certificates for an authority that exists."""

    verb = "raise"
    noun = "leaf-validity"
    cost = "none; its certificates may live longer"
    undo = "set the rule back"
    authority_id: str
    name: str
    leaf_days: int

    @property
    @override
    def description(self) -> str:
        """Name and the new rule."""
        return f"certificate authority {self.name}: certificates up to {self.leaf_days} days"


@dataclass(frozen=True)
class CreateCertificate(Step):
    """R27: the ingress gateway's certificate, issued by the authority and renewed by OCI."""

    noun = "certificate"
    cost = "counts against the limit of certificates"
    undo = "only by schedule"
    name: str
    hosts: tuple[str, ...]
    days: int

    @property
    @override
    def description(self) -> str:
        """Name, hosts and lifetime."""
        return f"certificate {self.name} for {', '.join(self.hosts)}, {self.days} days"
