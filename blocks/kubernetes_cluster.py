"""How to reach one Kubernetes cluster, and which cluster it has to be."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator


class KubeconfigSource(StrEnum):
    """Where the connection data comes from."""

    FILE = "FILE"
    """A kubeconfig file that every worker can read."""
    CONTENT = "CONTENT"
    """The kubeconfig's text, kept encrypted in this block."""
    IN_CLUSTER = "IN_CLUSTER"
    """The service account of the pod that the worker runs in."""
    OKE = "OKE"
    """An OKE cluster, as the identity of an OSOK OCI Tenancy block."""


class OkeEndpoint(StrEnum):
    """Which address of an OKE cluster's API server to use."""

    AUTO = "AUTO"
    """The public one where there is one, else the private one."""
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"
    """Reached from inside its network only."""
    ADDRESS = "ADDRESS"
    """The address in endpoint_address, such as a bastion's."""


class KubernetesCluster(Block):
    """One cluster of the fleet. Flows take the block's name, so no connection data is a flow parameter."""

    _block_type_name: ClassVar[str] = "OSOK Kubernetes Cluster"
    _block_type_slug: ClassVar[str] = "osok-kubernetes-cluster"
    _description: ClassVar[str] = "A Kubernetes cluster that osok-fleet installs to, pinned to its identity."

    source: KubeconfigSource = Field(
        default=KubeconfigSource.FILE, description="Where the connection data comes from."
    )
    kubeconfig_file: Path | None = Field(
        default=None, description="Path of the kubeconfig on every worker; for source FILE."
    )
    kubeconfig: SecretStr | None = Field(
        default=None, description="The kubeconfig's whole text, stored encrypted; for source CONTENT."
    )
    context: str = Field(
        default="", description="The context to use; required, since current-context changes unnoticed."
    )
    tenancy: str = Field(
        default="", description="Name of the OSOK OCI Tenancy block to sign in with; for source OKE."
    )
    cluster_id: str = Field(
        default="", pattern=r"^$|^ocid1\.cluster\.", description="The cluster's OCID; for source OKE."
    )
    endpoint: OkeEndpoint = Field(
        default=OkeEndpoint.AUTO,
        description="AUTO: the public endpoint where there is one, else the private one. PUBLIC, PRIVATE: "
        "that one. ADDRESS: endpoint_address. For source OKE.",
    )
    endpoint_address: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9.-]+:\d+$",
        description="host:port that leads to the API server, such as a bastion session's; for ADDRESS.",
    )
    bootstrap_tenancy: str = Field(
        default="",
        description="Name of the OSOK OCI Tenancy block whose identity may create OLM's own cluster roles; "
        "only the OLM step uses it. Empty: the tenancy block above. For source OKE.",
    )
    bootstrap_context: str = Field(
        default="",
        description="Context of the account that may create OLM's own cluster roles; only the OLM step uses "
        "it. Empty: the context above.",
    )
    expected_uid: str = Field(
        default="",
        description="uid of the namespace kube-system. Another cluster behind the same address is refused. "
        "Empty: the first run pins what it finds and says so.",
    )
    allowed_exec_commands: list[str] = Field(
        default_factory=list, description="Commands that an exec credential plugin of the kubeconfig may run."
    )
    allowed_risks: list[str] = Field(
        default_factory=list,
        description="INSECURE_SKIP_TLS_VERIFY or PROXY_URL, when the kubeconfig needs it and you accept it.",
    )
    request_timeout: timedelta = Field(
        default=timedelta(seconds=30), description="How long one request to the API server may take."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels by which a fleet selects this cluster, for example env: prod.",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> "KubernetesCluster":
        needs: dict[KubeconfigSource, dict[str, object]] = {
            KubeconfigSource.FILE: {"kubeconfig_file": self.kubeconfig_file, "context": self.context},
            KubeconfigSource.CONTENT: {"kubeconfig": self.kubeconfig, "context": self.context},
            KubeconfigSource.IN_CLUSTER: {},
            KubeconfigSource.OKE: {"tenancy": self.tenancy, "cluster_id": self.cluster_id},
        }
        missing = [name for name, value in needs[self.source].items() if not value]
        if missing:
            raise ValueError(f"{' and '.join(missing)}: required when source is {self.source.value}")
        if (self.endpoint is OkeEndpoint.ADDRESS) is not bool(self.endpoint_address):
            raise ValueError("endpoint_address belongs to endpoint ADDRESS: give both or neither")
        return self
