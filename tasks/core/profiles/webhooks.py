"""The admission webhooks that an operator registers, and the objects that prove that they answer."""

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from tasks.core.manifests import Manifest
from tasks.core.profiles.resources import DATA


class WebhookType(StrEnum):
    """The two kinds, as a CSV's webhookdefinitions spell them."""

    VALIDATING = "ValidatingAdmissionWebhook"
    MUTATING = "MutatingAdmissionWebhook"


class FailurePolicy(StrEnum):
    """What the API server does when it cannot call the webhook (admissionregistration.k8s.io/v1)."""

    FAIL = "Fail"
    IGNORE = "Ignore"


class SideEffects(StrEnum):
    """What a call changes outside the admitted object; only these two may be called by a dry run."""

    NONE = "None"
    NONE_ON_DRY_RUN = "NoneOnDryRun"


class Operation(StrEnum):
    """The operations that a rule can name (admissionregistration.k8s.io/v1)."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    ALL = "*"


class WebhookRole(StrEnum):
    """Why a webhook stands in the profile."""

    REQUIRED = "REQUIRED"
    """The runbook checks for it; it has to be there, trusted and answering."""
    INERT = "INERT"
    """The bundle registers it, but its rule matches nothing that the cluster serves: it is never called."""


class WebhookRule(BaseModel):
    """Which requests a webhook is called for (admissionregistration.k8s.io/v1, RuleWithOperations)."""

    model_config = DATA

    groups: tuple[str, ...] = Field(
        description="API groups, an empty string for the core group", min_length=1
    )
    versions: tuple[str, ...] = Field(description="API versions", min_length=1)
    resources: tuple[str, ...] = Field(description="Plural resource names", min_length=1)
    operations: tuple[Operation, ...] = Field(
        description="CREATE, UPDATE, DELETE, CONNECT or *", min_length=1
    )

    def matches(self, api_version: str, plural: str, operation: Operation) -> bool:
        """Whether a request is one that this rule names."""
        group, _, version = api_version.rpartition("/")
        return (
            _admits(self.groups, group)
            and _admits(self.versions, version)
            and _admits(self.resources, plural)
            and _admits(self.operations, operation)
        )


def _admits(values: tuple[str, ...], value: str) -> bool:
    return "*" in values or value in values


class ValidatorProof(BaseModel):
    """Two objects that show, by a server-side dry-run create, that a validator is called and decides.

    The allowed one proves that the API server can call the webhook (failurePolicy Fail would refuse it).
    The denied one fits the CRD's schema, so only the webhook can refuse it: accepted means not called.
    """

    model_config = DATA

    allowed: Manifest = Field(description="An object that the validator admits, without a namespace")
    denied: Manifest = Field(description="An object that fits the schema and that the validator refuses")
    denial: str = Field(description="What the refusal's message contains", min_length=1)

    @field_validator("allowed", "denied")
    @classmethod
    def _is_namespaced_later(cls, manifest: Manifest) -> Manifest:
        return _sample(manifest)


class BindingRequirement(BaseModel):
    """The object that a mutating webhook needs before it changes anything."""

    model_config = DATA

    api_version: str = Field(description="Group and version of that object", min_length=1)
    kind: str = Field(description="Its kind", min_length=1)
    condition_count: int = Field(description="How many conditions it has, all True, when active", ge=1)
    explanation: str = Field(description="Why nothing is injected without it", min_length=1)


class InjectorProof(BaseModel):
    """A pod whose server-side dry-run create shows that a sidecar injector is called.

    An injector with failurePolicy Ignore fails silently: a pod that comes back unchanged proves nothing by
    itself. So there are two proofs. Where a binding is active for the pod, the containers have to be in the
    answer. Where none is, the API server's own counters of calls and of calls that failed open tell whether
    it was called.
    """

    model_config = DATA

    namespace_labels: dict[str, str] = Field(description="Labels of a namespace that takes part in injection")
    pod: Manifest = Field(description="The pod to create by dry run, without a namespace")
    containers: tuple[str, ...] = Field(description="Containers that injection adds", min_length=1)
    init_containers: tuple[str, ...] = Field(default=(), description="Init containers that injection adds")
    binding: BindingRequirement | None = Field(
        default=None, description="What has to be active before anything is injected; absent when nothing"
    )

    @field_validator("pod")
    @classmethod
    def _is_a_pod(cls, manifest: Manifest) -> Manifest:
        if manifest.get("kind") != "Pod":
            raise ValueError("has to be of kind Pod")
        return _sample(manifest)


class ExpectedWebhook(BaseModel):
    """One webhook of the operator: how OLM registers it, and how it is proven."""

    model_config = DATA

    generate_name: str = Field(
        description="webhooks[0].name; the object is named this, a hyphen and a suffix",
        min_length=1,
    )
    type: WebhookType = Field(description="ValidatingAdmissionWebhook or MutatingAdmissionWebhook")
    role: WebhookRole = Field(default=WebhookRole.REQUIRED, description="REQUIRED by the runbook, or INERT")
    path: str = Field(description="The URL path that is called", pattern=r"^/")
    rules: tuple[WebhookRule, ...] = Field(description="Which requests it is called for", min_length=1)
    failure_policy: FailurePolicy = Field(description="Fail, or Ignore (fails silently)")
    side_effects: SideEffects = Field(default=SideEffects.NONE, description="None or NoneOnDryRun")
    service: str = Field(default="", description="The Service that is called; empty: <deployment>-service")
    proof: ValidatorProof | None = Field(default=None, description="Sample objects of a validator")
    injector: InjectorProof | None = Field(default=None, description="Sample pod of a sidecar injector")

    @property
    def kind(self) -> str:
        """The kind of the configuration object that holds it."""
        mutating = self.type is WebhookType.MUTATING
        return "MutatingWebhookConfiguration" if mutating else "ValidatingWebhookConfiguration"

    @property
    def runbook(self) -> str:
        """The runbook step that asks for it."""
        return "R10" if self.type is WebhookType.MUTATING else "R9"

    @model_validator(mode="after")
    def _proof_fits_the_rules(self) -> Self:
        for sample in self._samples():
            if not self._is_called_for(sample["apiVersion"]):
                raise ValueError(f"the proof's apiVersion {sample['apiVersion']} is in none of the rules")
        return self

    def _samples(self) -> list[Manifest]:
        proof = [self.proof.allowed, self.proof.denied] if self.proof else []
        return proof + ([self.injector.pod] if self.injector else [])

    def _is_called_for(self, api_version: str) -> bool:
        group, _, version = api_version.rpartition("/")
        return any(_admits(rule.groups, group) and _admits(rule.versions, version) for rule in self.rules)


def _sample(manifest: dict[str, Any]) -> Manifest:
    metadata = manifest.get("metadata")
    if not manifest.get("apiVersion") or not manifest.get("kind"):
        raise ValueError("has to have apiVersion and kind")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise ValueError("has to have metadata.name")
    if metadata.get("namespace"):
        raise ValueError("must not name a namespace: the check chooses it")
    return manifest
