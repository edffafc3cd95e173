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
        needs = {
            KubeconfigSource.FILE: ("kubeconfig_file", self.kubeconfig_file),
            KubeconfigSource.CONTENT: ("kubeconfig", self.kubeconfig),
        }
        if self.source in needs:
            field_name, value = needs[self.source]
            if not value:
                raise ValueError(f"{field_name} is required when source is {self.source.value}")
            if not self.context:
                raise ValueError("context is required: name the kubeconfig context to use")
        return self
