"""The Kubernetes objects that an operator is expected to bring along or to find."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

DATA = ConfigDict(extra="forbid", frozen=True)
"""Profile parts are read once and never changed; an unknown field is a spelling mistake."""

Name = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
"""A Kubernetes object name (RFC 1123 subdomain)."""


class CrdRole(StrEnum):
    """Why a CRD stands in the profile."""

    REQUIRED = "REQUIRED"
    """The runbook checks for it; absent means that the installation is not complete."""
    ADDITIONAL = "ADDITIONAL"
    """The bundle brings it too; absent is worth a warning."""


class ObjectOrigin(StrEnum):
    """Who creates an object that the operator needs."""

    OLM = "OLM"
    """OLM makes it while it installs the CSV."""
    BUNDLE = "BUNDLE"
    """A manifest of the bundle."""
    USER = "USER"
    """The person who runs the cluster."""


class ExpectedCrd(BaseModel):
    """One CustomResourceDefinition of the operator."""

    model_config = DATA

    name: str = Field(description="metadata.name, which is plural.group", pattern=r"^[a-z0-9]+\.[a-z0-9.-]+$")
    kind: str = Field(description="The kind in the API's spelling", min_length=1)
    version: str = Field(description="The version that has to be served", pattern=r"^v[0-9]+[a-z0-9]*$")
    role: CrdRole = Field(default=CrdRole.REQUIRED, description="REQUIRED by the runbook, or ADDITIONAL")

    @property
    def plural(self) -> str:
        """The resource's name in URLs and in webhook rules."""
        return self.name.partition(".")[0]

    @property
    def group(self) -> str:
        """The API group."""
        return self.name.partition(".")[2]

    @property
    def api_version(self) -> str:
        """Group and version as in a manifest."""
        return f"{self.group}/{self.version}"


class ExpectedService(BaseModel):
    """One Service in front of the operator's webhook server."""

    model_config = DATA

    name: str = Name
    origin: ObjectOrigin = Field(description="OLM (named <deployment>-service) or BUNDLE")
    port: int = Field(default=443, description="The Service's port", ge=1, le=65535)
    target_port: int = Field(default=9443, description="The container's port", ge=1, le=65535)
