"""The profile of one operator: what the install, the verification and the certificate steps ask about."""

import re
from enum import StrEnum
from typing import Self

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, Field, field_validator, model_validator

from tasks.core.errors import PrerequisiteError
from tasks.core.profiles.resources import DATA, CrdRole, ExpectedCrd, ExpectedService, Name, ObjectOrigin
from tasks.core.profiles.webhooks import ExpectedWebhook, WebhookRole

_VERSION = "{version}"


class InstallMode(StrEnum):
    """The install modes of a CSV (operators.coreos.com/v1alpha1, spec.installModes)."""

    OWN_NAMESPACE = "OwnNamespace"
    SINGLE_NAMESPACE = "SingleNamespace"
    MULTI_NAMESPACE = "MultiNamespace"
    ALL_NAMESPACES = "AllNamespaces"


class RequiredObject(BaseModel):
    """A Secret or ConfigMap in the operator's namespace that its pods refer to."""

    model_config = DATA

    kind: str = Field(description="Secret or ConfigMap", pattern=r"^(Secret|ConfigMap)$")
    name: str = Name
    origin: ObjectOrigin = Field(description="OLM, BUNDLE or USER")
    # Not `keys`: Prefect opens models with dict(), which takes an attribute of that name for the method.
    data_keys: tuple[str, ...] = Field(default=(), description="Keys that the operator reads")
    optional: bool = Field(default=False, description="Whether the pods start without it")


class ReleaseSource(BaseModel):
    """Where versions of the operator come from."""

    model_config = DATA

    github_repository: str = Field(
        description="owner/name whose releases list the versions", pattern=r"^[^/ ]+/[^/ ]+$"
    )
    bundle_repository: str = Field(
        description="OCI repository of the bundle image, without tag", pattern=r"^[^:@ ]+(:[0-9]+/[^:@ ]+)?$"
    )
    default_version: str = Field(description="The version that is installed when none is asked for")
    supported: str = Field(description="Versions that it describes, as a specifier (>=1,<2)")
    unsupported_reason: str = Field(description="Why other versions are refused", min_length=1)

    @field_validator("supported")
    @classmethod
    def _is_a_specifier(cls, text: str) -> str:
        try:
            SpecifierSet(text)
        except InvalidSpecifier as error:
            raise ValueError("has to be a version specifier such as >=1,<2") from error
        return text

    def admits(self, version: str) -> bool:
        """Whether this profile describes that version; pre-releases and unreadable versions are not."""
        try:
            return Version(version.removeprefix("v")) in SpecifierSet(self.supported, prereleases=False)
        except InvalidVersion:
            return False


class OperatorProfile(BaseModel):
    """An OLM operator with webhooks, as data.

    The names that OLM derives itself (`<deployment>-service`, `<deployment>-service-cert`) are properties:
    they cannot be chosen (OLM pkg/controller/install/certresources.go).
    """

    model_config = DATA

    name: str = Name
    title: str = Field(description="What people call it", min_length=1)
    package: str = Field(description="OLM package name", min_length=1)
    channel: str = Field(description="OLM channel", min_length=1)
    csv_name: str = Field(description="Name of the ClusterServiceVersion, with {version} in it", min_length=1)
    release: ReleaseSource = Field(description="Where versions come from and which ones fit")
    namespace: str = Field(description="The namespace it runs in unless another is asked for", min_length=1)
    deployment: str = Name
    pod_labels: dict[str, str] = Field(
        description="Labels of its pods, which its Services select", min_length=1
    )
    install_modes: tuple[InstallMode, ...] = Field(
        description="Install modes that its CSV supports", min_length=1
    )
    services: tuple[ExpectedService, ...] = Field(description="Services in front of its webhook server")
    crds: tuple[ExpectedCrd, ...] = Field(description="CRDs that it brings")
    webhooks: tuple[ExpectedWebhook, ...] = Field(description="Admission webhooks that it registers")
    objects: tuple[RequiredObject, ...] = Field(
        default=(), description="Secrets and ConfigMaps that it refers to"
    )
    lifecycle_notice: str = Field(default="", description="What a person has to know before installing it")

    @field_validator("csv_name")
    @classmethod
    def _names_the_version(cls, text: str) -> str:
        if text.count(_VERSION) != 1:
            raise ValueError(f"has to contain {_VERSION} once")
        return text

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        _refuse_duplicates("crds", [crd.name for crd in self.crds])
        _refuse_duplicates("webhooks", [webhook.generate_name for webhook in self.webhooks])
        known = {service.name for service in self.services}
        for webhook in self.webhooks:
            if self.service_of(webhook) not in known:
                raise ValueError(
                    f"services: {webhook.generate_name} calls {self.service_of(webhook)}, not listed"
                )
        if not self.release.admits(self.release.default_version):
            raise ValueError("release.default_version: not in release.supported")
        return self

    @property
    def olm_service(self) -> str:
        """The Service that OLM makes for the webhooks."""
        return f"{self.deployment}-service"

    @property
    def request_base(self) -> str:
        """The documented part of the names of certificate signing requests (R13)."""
        return self.deployment.removesuffix("-manager")

    @property
    def certificate_secret(self) -> str:
        """The Secret with the webhook server's certificate: keys tls.crt, tls.key and olmCAKey."""
        return f"{self.olm_service}-cert"

    @property
    def service_names(self) -> tuple[str, ...]:
        """The names of all Services in front of the webhook server."""
        return tuple(service.name for service in self.services)

    @property
    def required_crds(self) -> tuple[ExpectedCrd, ...]:
        """The CRDs that the runbook checks for (R8)."""
        return tuple(crd for crd in self.crds if crd.role is CrdRole.REQUIRED)

    @property
    def required_webhooks(self) -> tuple[ExpectedWebhook, ...]:
        """The webhooks that the runbook checks for (R9, R10)."""
        return tuple(webhook for webhook in self.webhooks if webhook.role is WebhookRole.REQUIRED)

    def service_of(self, webhook: ExpectedWebhook) -> str:
        """The Service that the API server calls for a webhook."""
        return webhook.service or self.olm_service

    def csv_name_for(self, version: str) -> str:
        """The CSV's name at a version ("1.1.9" or "v1.1.9").

        Raises:
            PrerequisiteError: The profile does not describe that version.
        """
        if not self.release.admits(version):
            raise PrerequisiteError(
                f"use version {version}",
                self.title,
                self.release.supported,
                version,
                self.release.unsupported_reason,
            )
        return self.csv_name.replace(_VERSION, version.removeprefix("v"))

    def version_of_csv(self, csv_name: str) -> str:
        """The version in a CSV's name; empty when the CSV is not one of this operator."""
        before, _, after = self.csv_name.partition(_VERSION)
        match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", csv_name)
        return match.group(1) if match else ""


def _refuse_duplicates(field: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{field}: listed twice: {', '.join(doubled)}")
