"""Which OCI tenancy, region and compartment to work in, and as whom."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

TenancyOcid = Annotated[str, Field(pattern=r"^ocid1\.tenancy\.[a-z0-9]+\.\.[A-Za-z0-9]+$")]
CompartmentOcid = Annotated[str, Field(pattern=r"^ocid1\.(compartment|tenancy)\.[a-z0-9]+\.\.[A-Za-z0-9]+$")]
_ENDPOINT = r"^https?://[A-Za-z0-9_.-]+(:\d+)?$"
Region = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d+$", examples=["eu-frankfurt-1"])]


class _Authentication(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConfigFile(_Authentication):
    """A profile with an API key in an OCI configuration file that every worker can read."""

    kind: Literal["config_file"] = Field(default="config_file", description="Config file.")
    path: Path = Field(default=Path("~/.oci/config"), description="The configuration file on every worker.")
    profile: str = Field(default="DEFAULT", description="The profile in that file.")


class ApiKey(_Authentication):
    """An API key of a user; the key comes from this block or from a file that every worker can read."""

    kind: Literal["api_key"] = Field(default="api_key", description="Api key.")
    user_id: str = Field(pattern=r"^ocid1\.user\.", description="The user's OCID.")
    fingerprint: str = Field(
        pattern=r"^([0-9a-f]{2}:){15}[0-9a-f]{2}$",
        description="The key's fingerprint, as the console shows it.",
    )
    private_key: SecretStr | None = Field(
        default=None, description="The private key in PEM, stored encrypted."
    )
    private_key_file: Path | None = Field(
        default=None, description="The private key's PEM file on every worker, instead of private_key."
    )
    passphrase: SecretStr | None = Field(default=None, description="The private key's passphrase, if any.")

    @model_validator(mode="after")
    def _has_one_key(self) -> "ApiKey":
        if (self.private_key is None) is (self.private_key_file is None):
            raise ValueError("give either private_key or private_key_file")
        return self


class SessionToken(_Authentication):
    """A session that `oci session authenticate` began on the worker; it ends after an hour."""

    kind: Literal["session_token"] = Field(default="session_token", description="Session token.")
    path: Path = Field(default=Path("~/.oci/config"), description="The configuration file on every worker.")
    profile: str = Field(default="DEFAULT", description="The profile with the security_token_file.")


class InstancePrincipal(_Authentication):
    """The compute instance that the worker runs on."""

    kind: Literal["instance_principal"] = Field(default="instance_principal", description="The instance.")
    federation_endpoint: str = Field(
        default="", description="Where tokens are had, when not at the region's own address."
    )


class ResourcePrincipal(_Authentication):
    """The OCI resource that the worker runs in, such as a container instance."""

    kind: Literal["resource_principal"] = Field(default="resource_principal", description="The resource.")


class WorkloadIdentity(_Authentication):
    """The service account of the worker's pod in an enhanced OKE cluster."""

    kind: Literal["workload_identity"] = Field(default="workload_identity", description="Workload identity.")


Authentication = Annotated[
    ConfigFile | ApiKey | SessionToken | InstancePrincipal | ResourcePrincipal | WorkloadIdentity,
    Field(discriminator="kind"),
]


class OciTenancy(Block):
    """One tenancy in one region. Flows take the block's name, so no credential is a flow parameter."""

    _block_type_name: ClassVar[str] = "OSOK OCI Tenancy"
    _block_type_slug: ClassVar[str] = "osok-oci-tenancy"
    _description: ClassVar[str] = "An OCI tenancy and region whose prerequisites osok-fleet checks."

    tenancy_id: TenancyOcid = Field(description="The tenancy's OCID.")
    region: Region = Field(description="The region of vault, authority and clusters.")
    home_region: Region | None = Field(
        default=None, description="The region that takes changes of IAM; needed to create policies only."
    )
    compartment_id: CompartmentOcid = Field(
        description="The compartment of vault, key, authority, certificate and meshes."
    )
    authentication: Authentication = Field(description="Who signs the requests.")
    endpoint: str = Field(
        default="",
        pattern=f"^$|{_ENDPOINT}",
        description="One address for all services instead of the region's own, as behind a gateway.",
    )
    region_endpoints: dict[Region, Annotated[str, Field(pattern=_ENDPOINT)]] = Field(
        default_factory=dict,
        description="Such addresses by region, where each region has another one.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities to trust for the services instead of the usual ones.",
    )
