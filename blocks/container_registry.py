"""How to pull from one container registry, and whom else to trust with its credentials."""

import ipaddress
import re
from typing import Annotated, ClassVar, Literal

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


class _Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AnonymousAccess(_Choice):
    """No credentials: public images."""

    kind: Literal["anonymous"] = Field(default="anonymous", description="No credentials.")


class BasicAccess(_Choice):
    """A user name with a password or an auth token (OCIR: `tenancy-namespace/user`)."""

    kind: Literal["basic"] = Field(default="basic", description="User name and password.")
    username: str = Field(min_length=1, pattern=r"^[^:]+$", description="User name, without a colon.")
    password: SecretStr = Field(description="Password, or an auth token in its place. Stored encrypted.")


class TokenAccess(_Choice):
    """A bearer token that the registry itself accepts."""

    kind: Literal["token"] = Field(default="token", description="A bearer token.")
    token: SecretStr = Field(description="The token. Stored encrypted.")


class ContainerRegistry(Block):
    """One container registry. Flows take the block's name, so no credentials are flow parameters."""

    _block_type_name: ClassVar[str] = "OSOK Container Registry"
    _block_type_slug: ClassVar[str] = "osok-container-registry"
    _description: ClassVar[str] = "A container registry that osok-fleet pulls the operator's bundle from."

    host: str = Field(
        description="Host as image references name it, with a port if needed, for example iad.ocir.io."
    )
    access: Annotated[AnonymousAccess | BasicAccess | TokenAccess, Field(discriminator="kind")] = Field(
        default_factory=AnonymousAccess, description="Anonymous, user name and password, or a bearer token."
    )
    token_realms: list[str] = Field(
        default_factory=list,
        description="Hosts of token servers that may see the credentials although they are outside of the "
        "registry's own domain.",
    )
    ca_certificates: str = Field(
        default="",
        description="PEM certificates of the authorities behind the registry's certificate, if they are not "
        "public ones.",
    )
    plain_http: Literal["never", "loopback"] = Field(
        default="never",
        description="'loopback' allows http, for a registry on the worker's own machine only.",
    )

    @field_validator("host")
    @classmethod
    def _is_host(cls, value: str) -> str:
        lowered = value.strip().lower()
        if not _HOST.fullmatch(lowered):
            raise ValueError("host is a host name with an optional port, without a scheme or a path")
        return lowered

    @field_validator("token_realms")
    @classmethod
    def _are_hosts(cls, values: list[str]) -> list[str]:
        lowered = [value.strip().lower() for value in values]
        if not all(_HOST.fullmatch(value) and ":" not in value for value in lowered):
            raise ValueError("token_realms are host names without a scheme, a port or a path")
        return lowered

    @model_validator(mode="after")
    def _plain_http_stays_here(self) -> "ContainerRegistry":
        if self.plain_http == "loopback" and not _is_loopback(self.host):
            raise ValueError("plain_http is for a registry on a loopback address; use https for this host")
        return self


def _is_loopback(host: str) -> bool:
    name = re.sub(r":[0-9]+$", "", host).strip("[]")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
