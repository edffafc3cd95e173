"""Operator profiles: the built-in OSOK 1.1.9 (R4, R6, R8, R9, R10) and those that users write."""

from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types, and only these tests use it
import pytest
import yaml

from tasks.core.errors import InputError, PrerequisiteError
from tasks.core.manifests import Manifest, read_manifests
from tasks.core.profiles import (
    ExpectedWebhook,
    FailurePolicy,
    ObjectOrigin,
    Operation,
    OperatorProfile,
    WebhookRole,
    WebhookType,
    built_in_profile,
    load_profile,
)

OSOK = built_in_profile("osok-1.1.9")
BUNDLE = Path(__file__).parents[2].parent / "shared" / "osok-1.1.9-bundle" / "manifests"
PROVEN = [webhook for webhook in OSOK.webhooks if webhook.proof]

SMALL = """
name: cert-keeper
title: Cert keeper
package: cert-keeper
channel: stable
csv_name: cert-keeper.v{version}
release:
  github_repository: example/cert-keeper
  bundle_repository: registry.example.com:5000/cert-keeper-bundle
  default_version: 2.0.0
  supported: ">=2,<3"
  unsupported_reason: Other versions have other webhooks.
namespace: cert-keeper
deployment: cert-keeper-manager
pod_labels: {app: cert-keeper}
install_modes: [OwnNamespace]
services: [{name: cert-keeper-manager-service, origin: OLM}]
crds: [{name: keepers.example.com, kind: Keeper, version: v1}]
webhooks:
  - generate_name: keeper.example.com
    type: ValidatingAdmissionWebhook
    path: /validate
    rules: [{groups: [example.com], versions: [v1], resources: [keepers], operations: [CREATE]}]
    failure_policy: Fail
"""


def bundle_manifests() -> list[Manifest]:
    if not BUNDLE.is_dir():
        pytest.skip("the OSOK 1.1.9 bundle is not in ../shared")
    return [
        manifest
        for file in sorted(BUNDLE.glob("*.yaml"))
        for manifest in read_manifests(file.read_text(), file.name)
    ]


def only(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def schema_of(webhook: ExpectedWebhook) -> Manifest:
    plural = webhook.rules[0].resources[0]
    crds = only(bundle_manifests(), "CustomResourceDefinition")
    crd = next(crd for crd in crds if crd["spec"]["names"]["plural"] == plural)
    schema: Manifest = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def with_field(path: str, value: object) -> str:
    """The small profile as YAML with one top-level field changed."""
    return yaml.safe_dump({**yaml.safe_load(SMALL), path: value})


def test_osok_asks_for_the_nine_crds_of_the_runbook() -> None:
    """R8."""
    assert sorted(crd.plural for crd in OSOK.required_crds) == [
        "accesspolicies",
        "ingressgatewaydeployments",
        "ingressgatewayroutetables",
        "ingressgateways",
        "meshes",
        "virtualdeploymentbindings",
        "virtualdeployments",
        "virtualserviceroutetables",
        "virtualservices",
    ]


def test_osok_crds_of_the_runbook_are_in_the_mesh_group() -> None:
    """R8."""
    assert {crd.api_version for crd in OSOK.required_crds} == {"servicemesh.oci.oracle.com/v1beta1"}


def test_osok_asks_for_the_nine_validators_of_the_runbook() -> None:
    """R9."""
    validators = [w for w in OSOK.required_webhooks if w.type is WebhookType.VALIDATING]
    assert sorted(webhook.generate_name for webhook in validators) == [
        f"{kind}-validator.servicemesh.oci.oracle.cloud.com"
        for kind in ("ap", "ig", "igd", "igrt", "mesh", "vd", "vdb", "vs", "vsrt")
    ]


def test_osok_validators_refuse_what_they_cannot_judge() -> None:
    """R9."""
    validators = [w for w in OSOK.required_webhooks if w.runbook == "R9"]
    assert {webhook.failure_policy for webhook in validators} == {FailurePolicy.FAIL}


def test_osok_asks_for_the_injector_of_the_runbook_which_fails_silently() -> None:
    """R10."""
    injectors = [w for w in OSOK.required_webhooks if w.runbook == "R10"]
    assert [(w.generate_name, w.failure_policy) for w in injectors] == [
        ("proxy-injector.servicemesh.oci.oracle.com", FailurePolicy.IGNORE)
    ]


def test_osok_knows_the_two_webhooks_that_are_never_called() -> None:
    inert = [w.generate_name for w in OSOK.webhooks if w.role is WebhookRole.INERT]
    assert inert == ["vautonomousdatabases.kb.io", "mautonomousdatabases.kb.io"]


def test_osok_has_a_proof_for_every_webhook_of_the_runbook() -> None:
    """R9, R10."""
    assert [w.generate_name for w in OSOK.required_webhooks if not (w.proof or w.injector)] == []


def test_osok_says_that_service_mesh_is_retired() -> None:
    assert "retired" in OSOK.lifecycle_notice


def test_names_that_olm_derives_follow_the_deployment() -> None:
    """R12, R20: the Secret and the Service whose names the certificate carries."""
    assert (OSOK.olm_service, OSOK.certificate_secret) == (
        "oci-service-operator-controller-manager-service",
        "oci-service-operator-controller-manager-service-cert",
    )


def test_osok_crds_are_those_of_the_real_bundle() -> None:
    """R8."""
    bundled = only(bundle_manifests(), "CustomResourceDefinition")
    assert {(crd.name, crd.kind, crd.version) for crd in OSOK.crds} == {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["name"])
        for crd in bundled
    }


def test_osok_webhooks_are_those_of_the_real_bundle() -> None:
    """R9, R10."""
    csv = only(bundle_manifests(), "ClusterServiceVersion")[0]
    assert {
        (w.generate_name, w.type.value, w.path, w.failure_policy.value, w.side_effects.value)
        for w in OSOK.webhooks
    } == {
        (w["generateName"], w["type"], w["webhookPath"], w["failurePolicy"], w["sideEffects"])
        for w in csv["spec"]["webhookdefinitions"]
    }


def test_osok_webhook_rules_are_those_of_the_real_bundle() -> None:
    """R9, R10."""
    csv = only(bundle_manifests(), "ClusterServiceVersion")[0]
    expected = {w["generateName"]: w["rules"] for w in csv["spec"]["webhookdefinitions"]}
    assert {
        w.generate_name: [
            {
                "apiGroups": list(rule.groups),
                "apiVersions": list(rule.versions),
                "resources": list(rule.resources),
                "operations": [operation.value for operation in rule.operations],
            }
            for rule in w.rules
        ]
        for w in OSOK.webhooks
    } == expected


def test_osok_deployment_and_labels_are_those_of_the_real_bundle() -> None:
    csv = only(bundle_manifests(), "ClusterServiceVersion")[0]
    deployment = csv["spec"]["install"]["spec"]["deployments"][0]
    assert (deployment["name"], deployment["spec"]["selector"]["matchLabels"]) == (
        OSOK.deployment,
        OSOK.pod_labels,
    )


def test_osok_objects_of_the_bundle_are_those_of_the_real_bundle() -> None:
    manifests = bundle_manifests()
    bundled = only(manifests, "Secret") + only(manifests, "ConfigMap")
    assert {o.name for o in OSOK.objects if o.origin is ObjectOrigin.BUNDLE} == {
        manifest["metadata"]["name"] for manifest in bundled
    }


@pytest.mark.parametrize("webhook", PROVEN, ids=lambda webhook: webhook.generate_name)
def test_both_samples_fit_the_schema_of_the_real_crd(webhook: ExpectedWebhook) -> None:
    """Only the webhook may refuse the denied one."""
    assert webhook.proof is not None
    schema = schema_of(webhook)
    validator = jsonschema.Draft202012Validator(schema)
    samples = [webhook.proof.allowed, webhook.proof.denied]
    assert [error.message for sample in samples for error in validator.iter_errors(sample)] == []


@pytest.mark.parametrize("webhook", PROVEN, ids=lambda webhook: webhook.generate_name)
def test_samples_name_only_fields_of_the_real_crd(webhook: ExpectedWebhook) -> None:
    """The API server prunes unknown fields, which would make the denied sample an allowed one."""
    assert webhook.proof is not None
    schema = schema_of(webhook)["properties"]["spec"]
    unknown = [*unknown_fields(webhook.proof.allowed["spec"], schema)]
    assert [*unknown, *unknown_fields(webhook.proof.denied["spec"], schema)] == []


def unknown_fields(value: object, schema: Manifest, path: str = "spec") -> list[str]:
    if isinstance(value, list):
        return [field for item in value for field in unknown_fields(item, schema["items"], f"{path}[]")]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    here = [f"{path}.{key}" for key in value if key not in known]
    return here + [
        field
        for key in value
        if key in known
        for field in unknown_fields(value[key], known[key], f"{path}.{key}")
    ]


@pytest.mark.parametrize("webhook", PROVEN, ids=lambda webhook: webhook.generate_name)
def test_samples_are_ones_that_the_rule_names(webhook: ExpectedWebhook) -> None:
    assert webhook.proof is not None
    allowed = webhook.proof.allowed
    crd = next(crd for crd in OSOK.crds if crd.kind == allowed["kind"])
    assert webhook.rules[0].matches(allowed["apiVersion"], crd.plural, Operation.CREATE)


def test_a_denied_sample_differs_from_the_allowed_one() -> None:
    assert [w.generate_name for w in PROVEN if w.proof and w.proof.allowed == w.proof.denied] == []


@pytest.mark.parametrize(("version", "csv"), [("1.1.9", "1.1.9"), ("v1.1.9", "1.1.9"), ("1.1.0", "1.1.0")])
def test_the_csv_is_named_after_the_version(version: str, csv: str) -> None:
    """R6."""
    assert OSOK.csv_name_for(version) == f"oci-service-operator.v{csv}"


@pytest.mark.parametrize(
    "version", ["2.0.0", "2.0.0-alpha", "v2.1.0-alpha", "1.0.0", "1.2.0rc1", "latest", ""]
)
def test_versions_outside_the_mesh_line_are_refused_with_the_reason(version: str) -> None:
    """R6."""
    with pytest.raises(PrerequisiteError, match="has no OCI Service Mesh"):
        OSOK.csv_name_for(version)


@pytest.mark.parametrize(
    ("csv", "version"),
    [("oci-service-operator.v1.1.9", "1.1.9"), ("other-operator.v1.1.9", ""), ("oci-service-operator.v", "")],
)
def test_the_version_is_read_off_a_csv_name(csv: str, version: str) -> None:
    assert OSOK.version_of_csv(csv) == version


def test_an_unknown_built_in_profile_is_refused() -> None:
    with pytest.raises(InputError, match=r"osok-1\.1\.9"):
        built_in_profile("osok-2")


def test_a_profile_of_another_operator_is_a_file() -> None:
    profile = load_profile(SMALL, "cert-keeper.yaml")
    assert (profile.certificate_secret, profile.service_of(profile.webhooks[0])) == (
        "cert-keeper-manager-service-cert",
        "cert-keeper-manager-service",
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("deploymnet", "x", r"deploymnet: extra inputs are not permitted"),
        ("deployment", "Upper_Case", r"deployment: string should match pattern"),
        ("csv_name", "cert-keeper", r"csv_name: has to contain \{version\} once"),
        ("services", [], r"services: keeper\.example\.com calls cert-keeper-manager-service, not listed"),
        ("install_modes", ["Everywhere"], r"install_modes\[0\]: input should be"),
        (
            "crds",
            [{"name": "keepers.example.com", "kind": "Keeper", "version": "v1"}] * 2,
            r"crds: listed twice: keepers\.example\.com",
        ),
        ("crds", [{"name": "keepers.example.com", "kind": "Keeper"}], r"crds\[0\]\.version: field required"),
    ],
)
def test_a_wrong_profile_names_the_field(field: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_profile(with_field(field, value), "profile.yaml")


def webhook_with(**fields: object) -> str:
    webhook = {**yaml.safe_load(SMALL)["webhooks"][0], **fields}
    return with_field("webhooks", [webhook])


def keeper(**metadata: str) -> Manifest:
    return {"apiVersion": "example.com/v1", "kind": "Keeper", "metadata": {"name": "a", **metadata}}


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        ({"allowed": keeper()}, r"webhooks\[0\]\.proof\.denied: field required"),
        ({"allowed": keeper(namespace="x"), "denied": keeper(), "denial": "no"}, "must not name a namespace"),
        (
            {"allowed": {"kind": "Keeper"}, "denied": keeper(), "denial": "no"},
            "has to have apiVersion and kind",
        ),
        (
            {
                "allowed": {"apiVersion": "example.com/v1", "kind": "Keeper"},
                "denied": keeper(),
                "denial": "no",
            },
            r"has to have metadata\.name",
        ),
        (
            {"allowed": {**keeper(), "apiVersion": "other/v1"}, "denied": keeper(), "denial": "no"},
            "apiVersion other/v1 is in none of the rules",
        ),
    ],
)
def test_a_proof_that_cannot_work_is_refused(proof: Manifest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_profile(webhook_with(proof=proof), "profile.yaml")


def test_an_injector_proof_that_is_no_pod_is_refused() -> None:
    injector = {"namespace_labels": {}, "pod": keeper(), "containers": ["proxy"]}
    with pytest.raises(InputError, match="has to be of kind Pod"):
        load_profile(webhook_with(injector=injector), "profile.yaml")


@pytest.mark.parametrize(
    ("text", "message"), [("{", "YAML"), ("[]", "valid dictionary"), ("", "valid dictionary")]
)
def test_a_file_that_is_no_profile_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_profile(text, "profile.yaml")


def test_a_release_that_its_own_profile_does_not_describe_is_refused() -> None:
    release = {**yaml.safe_load(SMALL)["release"], "default_version": "3.0.0"}
    with pytest.raises(InputError, match=r"release\.default_version: not in release\.supported"):
        load_profile(with_field("release", release), "profile.yaml")


@pytest.mark.parametrize("supported", ["one", ">>1"])
def test_a_version_range_that_cannot_be_read_names_its_field(supported: str) -> None:
    release = {**yaml.safe_load(SMALL)["release"], "supported": supported}
    with pytest.raises(InputError, match=r"release\.supported: has to be a version specifier"):
        load_profile(with_field("release", release), "profile.yaml")


def test_a_profile_reads_back_from_what_it_writes() -> None:
    written = yaml.safe_dump(OSOK.model_dump(mode="json"))
    assert load_profile(written, "copy") == OperatorProfile.model_validate(OSOK.model_dump())
