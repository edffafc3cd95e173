"""What a person says about the prerequisites of a run: the typed parameters behind the Prefect form."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.core.errors import InputError
from tasks.core.prerequisites.credentials import CONFIG_SECRET, OperatorIdentity
from tasks.core.references import parse_reference

_HOSTS = Field(min_length=1, description="Host names that clients use for the ingress gateway.")
_NAME_OR_OCID = "name in the block's compartment, or OCID"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeInstances(_Settings):
    """The operator signs as the node that it runs on (instance principal), whichever that is."""

    kind: Literal["node_instances"] = Field(default="node_instances", description="The nodes' instances.")
    compartment_id: str = Field(
        default="", description="Compartment of the nodes. Empty: the compartment of the OciTenancy block."
    )


class OperatorUser(_Settings):
    """The operator signs as a user, with the Secret `ocicredentials`."""

    kind: Literal["user"] = Field(default="user", description="A user with an API key.")
    user_id: str = Field(pattern=r"^ocid1\.user\.", description="The user's OCID.")


class OperatorWorkload(_Settings):
    """The operator signs as its Kubernetes service account (OKE workload identity)."""

    kind: Literal["workload"] = Field(default="workload", description="A Kubernetes service account.")
    cluster_id: str = Field(pattern=r"^ocid1\.cluster\.", description="The OKE cluster's OCID.")
    namespace: str = Field(default="oci-service-operator-system", description="The operator's namespace.")
    service_account: str = Field(default="default", description="The operator's service account.")


OperatorPrincipal = Annotated[NodeInstances | OperatorUser | OperatorWorkload, Field(discriminator="kind")]


class OciGatewayCertificate(_Settings):
    """The ingress gateway serves a certificate of OCI Certificates (`ociTlsCertificate`)."""

    kind: Literal["oci_certificate"] = Field(default="oci_certificate", description="OCI Certificates.")
    certificate: str = Field(min_length=1, description=f"The certificate: {_NAME_OR_OCID}.")
    hosts: list[str] = _HOSTS


class SecretGatewayCertificate(_Settings):
    """The ingress gateway serves a certificate from a Kubernetes Secret (`kubeSecretTlsCertificate`)."""

    kind: Literal["kubernetes_secret"] = Field(default="kubernetes_secret", description="A TLS Secret.")
    namespace: str = Field(min_length=1, description="The Secret's namespace in every cluster.")
    secret: str = Field(min_length=1, description="The Secret's name.")
    hosts: list[str] = _HOSTS


class NoGateway(_Settings):
    """There is no ingress gateway with HTTPS."""

    kind: Literal["no_gateway"] = Field(default="no_gateway", description="No ingress gateway with HTTPS.")


GatewayCertificate = Annotated[
    OciGatewayCertificate | SecretGatewayCertificate | NoGateway, Field(discriminator="kind")
]


class PrerequisiteNeeds(_Settings):
    """Which objects of the tenancy Service Mesh will use, and whom the operator will be."""

    vault: str = Field(min_length=1, description=f"The vault (R24): {_NAME_OR_OCID}.")
    key: str = Field(min_length=1, description=f"The authority's key (R25): {_NAME_OR_OCID}.")
    certificate_authority: str = Field(min_length=1, description=f"The authority (R26): {_NAME_OR_OCID}.")
    gateway: GatewayCertificate = Field(description="The ingress gateway's certificate (R27).")
    operator: OperatorPrincipal = Field(
        default=NodeInstances(), description="Whom the operator calls OCI as (R23, R28)."
    )


class ImageNeeds(_Settings):
    """The images that the cluster's nodes will pull, and what they log in with (R5, R6)."""

    references: list[str] = Field(
        default_factory=list,
        description="Images that the nodes pull, best by digest, besides those of a release that is named. "
        "None at all: not checked, and the report says so.",
    )
    pull_secret: str = Field(
        default="",
        description="Image pull Secret in the operator's namespace that the pods will use. Empty: none, the "
        "nodes pull anonymously.",
    )

    @field_validator("references")
    @classmethod
    def _are_references(cls, values: list[str]) -> list[str]:
        try:
            for value in values:
                parse_reference(value)
        except InputError as error:
            raise ValueError(f"{error}") from None
        return values


class ClusterNeeds(_Settings):
    """What is looked at in each cluster."""

    namespace: str = Field(
        default="oci-service-operator-system", min_length=1, description="The operator's namespace."
    )
    identity: OperatorIdentity = Field(
        default=OperatorIdentity.INSTANCE_PRINCIPAL, description="Whom the operator's Secrets make it."
    )
    config_secret: str = Field(
        default=CONFIG_SECRET,
        description="Name of the Secret with useinstanceprincipal, as the bundle brings it.",
    )
    images: ImageNeeds = Field(
        default=ImageNeeds(), description="Images that have to be within the nodes' reach (R5, R6)."
    )


class UnknownFindings(StrEnum):
    """What a finding means that could not be decided."""

    REFUSE = "REFUSE"
    """The same as FAIL: nothing is installed on a guess."""
    ACCEPT = "ACCEPT"
    """Somebody looked at it."""


class PrerequisiteMode(StrEnum):
    """Whether a run looks at the prerequisites at all."""

    CHECK = "CHECK"
    SKIP = "SKIP"


class PrerequisiteChoice(_Settings):
    """Whether and how strictly a run keeps to the prerequisites; leaving them out takes a reason."""

    mode: PrerequisiteMode = Field(default=PrerequisiteMode.CHECK, description="Check or skip.")
    reason: str = Field(default="", description="Why they are skipped, or why unknown findings are accepted.")
    unknown: UnknownFindings = Field(
        default=UnknownFindings.REFUSE, description="What undecided findings mean."
    )
    deadline: timedelta = Field(
        default=timedelta(minutes=2), gt=timedelta(0), description="How long all reads may take together."
    )

    @model_validator(mode="after")
    def _has_a_reason(self) -> "PrerequisiteChoice":
        lenient = self.mode is PrerequisiteMode.SKIP or self.unknown is UnknownFindings.ACCEPT
        if lenient and not self.reason.strip():
            raise ValueError("give a reason for skipping the check or accepting unknown findings")
        return self


class FleetPrerequisites(PrerequisiteChoice):
    """What a run over a fleet asks of OCI before it touches a cluster (R23–R28)."""

    mode: PrerequisiteMode = Field(
        default=PrerequisiteMode.CHECK,
        title="Prerequisites",
        description="CHECK: the tenancies below and those of OKE clusters, each once. SKIP: none; say why.",
    )
    tenancies: list[str] = Field(
        default_factory=list,
        title="Tenancy blocks",
        description="Names of the OSOK OCI Tenancy blocks that clusters outside of OKE depend on; OKE "
        "clusters name theirs in their own blocks. Without any tenancy nothing is checked, and the report "
        "says so.",
    )
    needs: PrerequisiteNeeds | None = Field(
        default=None,
        title="What has to be there",
        description="Vault, key, authority, gateway certificate and operator; required as soon as there is a "
        "tenancy to check.",
    )
