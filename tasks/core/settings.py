"""What a person chooses for a run: the typed parameters behind the forms of the Prefect UI."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.certificates.cluster_requests import DEFAULT_SIGNER
from tasks.core.certificates.keys import KeySpec

_SHA256 = r"^([0-9a-f]{64})?$"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionChange(StrEnum):
    """What to do when another version is installed already."""

    REFUSE = "REFUSE"
    """Stop with an error that names both versions."""
    UPGRADE = "UPGRADE"
    """Apply the chosen version over it."""


class OlmRelease(_Settings):
    """Which Operator Lifecycle Manager to install (R2), and where its two manifest files come from."""

    version: str = Field(
        default="0.20.0",
        title="OLM version",
        pattern=r"^v?\d+\.\d+\.\d+$",
        description="The OLM version, for example 0.20.0 (the one Oracle documents) or 0.46.0.",
    )
    location: str = Field(
        default="https://github.com/operator-framework/operator-lifecycle-manager/releases/download/v{version}",
        title="Location of the manifests",
        description="URL or folder that holds crds.yaml and olm.yaml; {version} is replaced.",
    )
    crds_sha256: str = Field(
        default="",
        title="SHA-256 of crds.yaml",
        pattern=_SHA256,
        description="64 hexadecimal digits. Empty: the pin that is built in, which exists for 0.20.0 only.",
    )
    olm_sha256: str = Field(
        default="",
        title="SHA-256 of olm.yaml",
        pattern=_SHA256,
        description="64 hexadecimal digits. Empty: the pin that is built in, which exists for 0.20.0 only.",
    )
    other_version: VersionChange = Field(
        default=VersionChange.REFUSE,
        title="When another OLM version is installed",
        description="REFUSE: stop and name both versions. UPGRADE: apply the version above over it.",
    )


class CatalogChoice(_Settings):
    """How the bundle is served to OLM: by a Deployment of our own, or by a catalog that runs already."""

    opm_image: str = Field(
        default="quay.io/operator-framework/opm:v1.73.0",
        title="opm image",
        description="Image that serves the catalog. A tag is resolved to its digest once per run.",
    )
    address: str = Field(
        default="",
        title="Address of a catalog",
        description="host:port of a catalog that runs already; then none is made. Empty: one is made.",
    )


class BundleSource(StrEnum):
    """Where the operator's bundle comes from (R5, R6)."""

    REGISTRY = "REGISTRY"
    DIRECTORY = "DIRECTORY"
    ARCHIVE = "ARCHIVE"


class OperatorPlace(_Settings):
    """Which operator, and in which namespace."""

    profile: str = Field(
        default="osok-1.1.9",
        title="Operator profile",
        description="Name of a built-in operator profile, or the path of a profile file on the worker.",
    )
    namespace: str = Field(
        default="",
        pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="Namespace the operator runs in. Empty: the profile's own.",
    )


class OperatorChoice(OperatorPlace):
    """Which operator release to install, where from and where to (R4–R6)."""

    version: str = Field(
        default="1.1.9",
        title="Operator release",
        description="Release to install, for example 1.1.9; 'newest-1.x' asks the releases page.",
    )
    releases_url: str = Field(
        default="https://api.github.com",
        title="Releases page",
        description="Base URL of the GitHub API (or a mirror) for 'newest-1.x'.",
    )
    bundle_source: BundleSource = Field(
        default=BundleSource.REGISTRY,
        title="Bundle source",
        description="REGISTRY: an image registry. DIRECTORY, ARCHIVE: a path on the worker.",
    )
    bundle: str = Field(
        default="",
        title="Bundle",
        description="Image reference, directory or archive of the bundle. Empty: the profile's public image "
        "at the version above.",
    )
    registry: str = Field(
        default="",
        title="Registry block",
        description="Name of the OSOK Container Registry block with the credentials. Empty: anonymous.",
    )
    pull_secret: str = Field(
        default="",
        title="Image pull Secret",
        description="Name of an image pull Secret in the operator's namespace, for the catalog's image.",
    )
    catalog: CatalogChoice = Field(
        default=CatalogChoice(),
        title="Catalog",
        description="How the bundle is served to OLM inside the cluster.",
    )


class MetricsServerMode(StrEnum):
    """Whether the metrics server (R11) is part of the run."""

    OFF = "OFF"
    ENSURE = "ENSURE"
    """Install it unless the cluster serves v1beta1.metrics.k8s.io already."""


class MetricsServerChoice(_Settings):
    """The optional metrics server for ingress gateways (R11)."""

    mode: MetricsServerMode = Field(
        default=MetricsServerMode.OFF,
        title="Metrics server",
        description="OFF: not part of the run. ENSURE: install it unless the cluster serves the metrics API.",
    )
    version: str = Field(
        default="0.8.0",
        title="Metrics server version",
        pattern=r"^\d+\.\d+\.\d+$",
        description="Version to install.",
    )
    location: str = Field(
        default="https://github.com/kubernetes-sigs/metrics-server/releases/download/v{version}"
        "/high-availability.yaml",
        title="Location of the manifest",
        description="URL or file of the manifest; {version} is replaced.",
    )
    sha256: str = Field(
        default="",
        title="SHA-256 of the manifest",
        pattern=_SHA256,
        description="64 hexadecimal digits; required when it is installed.",
    )


class Deadlines(_Settings):
    """How long the stages of one cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H."""

    target: timedelta = Field(
        default=timedelta(minutes=1), title="Target", description="Reaching and checking the cluster."
    )
    olm: timedelta = Field(
        default=timedelta(minutes=5), title="OLM", description="OLM, until every row is healthy."
    )
    operator: timedelta = Field(
        default=timedelta(minutes=5),
        title="Operator",
        description="The operator, from the catalog to ClusterServiceVersion Succeeded (R6).",
    )
    verification: timedelta = Field(
        default=timedelta(minutes=2),
        title="Verification",
        description="CRDs, webhooks and the calls through the API server.",
    )
    metrics_server: timedelta = Field(
        default=timedelta(minutes=3),
        title="Metrics server",
        description="The metrics server, until its API is available.",
    )


class ReleaseChoice(_Settings):
    """A release of the operator with what it needs, as it is given to install-fleet."""

    operator: OperatorChoice = Field(default=OperatorChoice(), description="As given to install-fleet.")
    olm: OlmRelease = Field(default=OlmRelease(), description="As given to install-fleet.")
    metrics_server: MetricsServerChoice = Field(
        default=MetricsServerChoice(), description="As given to install-fleet."
    )


class CertificateMode(StrEnum):
    """Whose certificate the operator's webhooks serve."""

    OLM = "OLM"
    """The one that OLM makes; certificate steps are left out."""
    OWN = "OWN"
    """One signed by your own CA, after a person approved it."""


class GatePolicy(StrEnum):
    """What the denial of one cluster means for the others of the same gate."""

    CONTINUE = "CONTINUE"
    """The denied clusters drop out; the others go on."""
    STOP = "STOP"
    """Nothing is signed for any cluster."""


class CertificateChoice(_Settings):
    """The webhook certificate and the gate before it (R12–R21)."""

    mode: CertificateMode = Field(
        default=CertificateMode.OLM,
        title="Webhook certificate",
        description="OLM: the one that OLM makes. OWN: signed by your CA, after a person approved it.",
    )
    authority: str = Field(
        default="",
        title="Authority block",
        description="Name of the OSOK Certificate Authority block that signs; for mode OWN.",
    )
    key_spec: KeySpec = Field(
        default=KeySpec.ECDSA_P256, title="Key", description="Key of the webhook certificate."
    )
    validity: timedelta = Field(
        default=timedelta(days=397),
        title="Lifetime",
        description="Lifetime of the certificate as ISO 8601 duration; never longer than the CA's.",
    )
    common_name: str = Field(
        default="kube.operator.cert",
        title="Common name",
        max_length=64,
        description="Common name, for people only.",
    )
    signer_name: str = Field(
        default=DEFAULT_SIGNER,
        title="Signer name",
        description="signerName of the request, domain/path; not one of Kubernetes'.",
    )
    decision_deadline: timedelta = Field(
        default=timedelta(hours=12),
        title="Time for the decision",
        description="How long the run waits for the decision, less than 24 hours: clusters collect requests "
        "then.",
    )
    denied_cluster: GatePolicy = Field(
        default=GatePolicy.CONTINUE,
        title="When one cluster is denied",
        description="CONTINUE: it drops out, the others go on. STOP: nothing is signed for any cluster.",
    )
    evidence: str = Field(
        default="",
        title="Evidence storage",
        description="block-type/name of the storage block, or a folder, for the evidence of what was asked, "
        "decided and published. Empty: where results go.",
    )
    publish_within: timedelta = Field(
        default=timedelta(minutes=10),
        title="Time for publishing",
        description="How long publishing on one cluster may take.",
    )
