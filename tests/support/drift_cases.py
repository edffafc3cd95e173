"""Single changes to an installed cluster, each with the drift that has to be found."""

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from tasks.core.drift.items import DriftKind
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.certificate_bench import OTHER_CA
from tests.support.drift_worlds import DriftBench
from tests.support.strangers import STRANGER, copy_of

NS = "oci-service-operator-system"
CSV = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "oci-service-operator.v1.1.9", NS)
_MANAGER = "oci-service-operator-controller-manager"
_VALIDATING, _MUTATING = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
_MESH = "mesh-validator.servicemesh.oci.oracle.cloud.com"
_INJECTOR = "proxy-injector.servicemesh.oci.oracle.com"
_POD = "/spec/template/spec"


@dataclass(frozen=True)
class Case:
    """One change.

    Attributes:
        title: What happened.
        kind: How it has to be called.
        object: Kind and name; `*` stands for the suffix that the API server makes up.
        field: JSON pointer.
        owner: The manager that has to be named; None where nobody can know.
        act: Makes the change, and undoes it at the end of the block.
        follows: Fields of other objects in which the same change shows, by the ends of their pointers.
    """

    title: str
    kind: DriftKind
    object: str
    field: str
    owner: str | None
    act: Callable[[DriftBench], AbstractContextManager[None]]
    follows: tuple[str, ...] = ()


def crd(name: str) -> ObjectRef:
    """A CustomResourceDefinition."""
    return ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)


def olm(kind: str, name: str, version: str = "v1alpha1") -> ObjectRef:
    """An object of OLM's in the operator's namespace."""
    return ObjectRef(f"operators.coreos.com/{version}", kind, name, NS)


def deployment(name: str, namespace: str = NS) -> ObjectRef:
    """A Deployment."""
    return ObjectRef("apps/v1", "Deployment", name, namespace)


def core(kind: str, name: str, namespace: str = NS) -> ObjectRef:
    """An object of the core API group."""
    return ObjectRef("v1", kind, name, namespace)


def rbac(kind: str, name: str) -> ObjectRef:
    """A cluster role or its binding."""
    return ObjectRef("rbac.authorization.k8s.io/v1", kind, name)


def webhook(bench: DriftBench, kind: str, name: str) -> ObjectRef:
    """The configuration that OLM made for a webhook."""
    listed = bench.admin.list_objects("admissionregistration.k8s.io/v1", kind)
    found = next(one for one in listed if one["webhooks"][0]["name"] == name)
    return ObjectRef(found["apiVersion"], kind, found["metadata"]["name"])


def _live(bench: DriftBench, ref: ObjectRef) -> Manifest:
    live = bench.admin.get(ref)
    assert live is not None
    return live


def _field(title: str, ref: ObjectRef, pointer: str, value: Any, kind: DriftKind, found: str = "") -> Case:  # noqa: ANN401, PLR0913, PLR0917 - JSON, and one for each column of the table
    owner = STRANGER if value is not None else None
    changes = [(pointer, value)]
    if ref.kind == "Deployment":
        # No pod is to be replaced because of a test.
        changes = [("/spec/paused", True), *changes]
    return Case(
        title, kind, str(ref), found or pointer, owner, lambda bench: bench.stranger.patched(ref, *changes)
    )


def changed(title: str, ref: ObjectRef, pointer: str, value: Any, found: str = "") -> Case:  # noqa: ANN401 - JSON
    """A field with another value."""
    return _field(title, ref, pointer, value, DriftKind.CHANGED, found)


def removed(title: str, ref: ObjectRef, pointer: str) -> Case:
    """A field that is gone."""
    return _field(title, ref, pointer, None, DriftKind.MISSING)


def added(title: str, ref: ObjectRef, pointer: str, value: Any) -> Case:  # noqa: ANN401 - JSON
    """A field that nobody asked for."""
    return _field(title, ref, pointer, value, DriftKind.UNEXPECTED)


def deleted(ref: ObjectRef, follows: tuple[str, ...] = ()) -> Case:
    """An object that is gone."""
    title = f"{ref.kind} {ref.name} deleted"
    return Case(
        title, DriftKind.MISSING, str(ref), "", None, lambda bench: bench.stranger.deleted(ref), follows
    )


def made(title: str, ref: ObjectRef, make: Callable[[DriftBench], Manifest]) -> Case:
    """An object that nobody asked for."""
    return Case(
        title,
        DriftKind.UNEXPECTED,
        str(ref),
        "",
        STRANGER,
        lambda bench: bench.stranger.made(make(bench)),
    )


def on_webhook(  # noqa: PLR0913, PLR0917 - one for each column of the table
    title: str, kind: DriftKind, configuration: str, name: str, pointer: str, value: object
) -> Case:
    """A change of a webhook configuration."""

    def act(bench: DriftBench) -> AbstractContextManager[None]:
        return bench.stranger.patched(webhook(bench, configuration, name), (pointer, value))

    owner = STRANGER if value is not None else None
    return Case(title, kind, f"{configuration} {name}-?????", pointer, owner, act)


def _second_configuration(bench: DriftBench) -> Manifest:
    return copy_of(_live(bench, webhook(bench, _VALIDATING, _MESH)), name=f"{_MESH}-zzzzz")


def _foreign_configuration(bench: DriftBench) -> Manifest:
    live = copy_of(_live(bench, webhook(bench, _VALIDATING, _MESH)), name="somebody-elses")
    return {
        **live,
        "metadata": {"name": "somebody-elses"},
        "webhooks": [{**live["webhooks"][0], "name": "else.example.com", "failurePolicy": "Ignore"}],
    }


_GROUP = olm("OperatorGroup", "osok-fleet", "v1")
_SUBSCRIPTION = olm("Subscription", "oci-service-operator")
_CATALOG = "oci-service-operator-catalog"
_CONFIG = core("Secret", "oci-service-operator-osokconfig")
_SOURCE = olm("CatalogSource", _CATALOG)
_MESHES = crd("meshes.servicemesh.oci.oracle.com")
# Nothing lists its objects: the API server answers 429 while it takes a changed CRD in.
_CONDITIONS = crd("operatorconditions.operators.coreos.com")
_SCHEMA = "/spec/versions/0/schema/openAPIV3Schema"
_IMAGE = f"{_POD}/containers/0/image"
_CHANGED, _MISSING, _UNEXPECTED = DriftKind.CHANGED, DriftKind.MISSING, DriftKind.UNEXPECTED
_OTHER_CA = base64.b64encode(OTHER_CA.pem).decode()


def _second_group(_: DriftBench) -> Manifest:
    return {
        "apiVersion": "operators.coreos.com/v1",
        "kind": "OperatorGroup",
        "metadata": {"name": "second", "namespace": NS},
        "spec": {},
    }


def _second_subscription(bench: DriftBench) -> Manifest:
    return copy_of(_live(bench, _SUBSCRIPTION), name="second")


def _other_release(bench: DriftBench) -> Manifest:
    live = copy_of(_live(bench, CSV), name="oci-service-operator.v1.1.8", namespace="default")
    return {**live, "metadata": {"name": "oci-service-operator.v1.1.8", "namespace": "default"}}


def _foreign_endpoints(_: DriftBench) -> Manifest:
    target = {"kind": "Pod", "name": "stranger", "namespace": NS}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "stranger",
            "namespace": NS,
            "labels": {"kubernetes.io/service-name": f"{_MANAGER}-service"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.250.250.250"], "targetRef": target}],
        "ports": [{"name": "443", "port": 9443}],
    }


OLM_CASES = (
    changed("a CRD of OLM is described otherwise", _CONDITIONS, f"{_SCHEMA}/description", "Mine."),
    added("a property more in a CRD of OLM", _CONDITIONS, f"{_SCHEMA}/properties/extra", {"type": "string"}),
    changed(
        "PodSecurity of OLM's namespace",
        core("Namespace", "olm", ""),
        "/metadata/labels/pod-security.kubernetes.io~1enforce",
        "privileged",
    ),
    changed(
        "a NetworkPolicy selects other pods",
        ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "olm-operator", "olm"),
        "/spec/podSelector/matchLabels/app",
        "other",
    ),
    deleted(ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "packageserver", "olm")),
    changed(
        "OLM may do less",
        rbac("ClusterRole", "system:controller:operator-lifecycle-manager"),
        "/rules/0/verbs",
        ["get"],
    ),
    removed(
        "a role is aggregated no more",
        rbac("ClusterRole", "aggregate-olm-view"),
        "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-view",
    ),
    deleted(rbac("ClusterRole", "aggregate-olm-edit")),
    Case(
        "OLM's role is bound to another account",
        DriftKind.MISSING,
        "ClusterRoleBinding olm-operator-binding-olm",
        "/subjects/olm-operator-serviceaccount",
        None,
        lambda bench: bench.stranger.patched(
            rbac("ClusterRoleBinding", "olm-operator-binding-olm"), ("/subjects/0/name", "somebody")
        ),
    ),
    deleted(ObjectRef("operators.coreos.com/v1", "OLMConfig", "cluster")),
    changed("another image of OLM", deployment("catalog-operator", "olm"), _IMAGE, "example.com/olm:latest"),
    changed(
        "other arguments of OLM",
        deployment("olm-operator", "olm"),
        f"{_POD}/containers/0/args/1",
        "elsewhere",
        f"{_POD}/containers/0/args/1",
    ),
    changed(
        "OLM runs as root",
        deployment("olm-operator", "olm"),
        f"{_POD}/securityContext/runAsNonRoot",
        False,  # noqa: FBT003 - a value
    ),
    changed(
        "another image of packageserver", deployment("packageserver", "olm"), _IMAGE, "example.com/olm:1"
    ),
    deleted(ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1.packages.operators.coreos.com")),
    changed(
        "another public catalog",
        ObjectRef("operators.coreos.com/v1alpha1", "CatalogSource", "operatorhubio-catalog", "olm"),
        "/spec/displayName",
        "Mine",
    ),
)
"""R2, R3."""

OPERATOR_CASES = (
    removed(
        "the namespace's PodSecurity label is gone",
        core("Namespace", NS, ""),
        "/metadata/labels/pod-security.kubernetes.io~1enforce",
    ),
    changed("another catalog", core("ConfigMap", _CATALOG), "/data/catalog.json", "{}"),
    changed("another image of the catalog", deployment(_CATALOG), _IMAGE, "example.com/opm:latest"),
    changed("the catalog's port", core("Service", _CATALOG), "/spec/ports/0/port", 50052),
    changed(
        "the catalog's Service selects others",
        core("Service", _CATALOG),
        "/spec/selector/app.kubernetes.io~1name",
        "other",
    ),
    deleted(core("Service", _CATALOG)),
    changed("the catalog's address", _SOURCE, "/spec/address", "other.example.com:50051"),
    deleted(_SOURCE),
    added("the OperatorGroup has targets", _GROUP, "/spec/targetNamespaces", [NS]),
    changed(
        "an annotation of the OperatorGroup",
        _GROUP,
        "/metadata/annotations/olm.operatorframework.io~1exclude-global-namespace-resolution",
        "false",
    ),
    deleted(_GROUP),
    made("a second OperatorGroup", olm("OperatorGroup", "second", "v1"), _second_group),
    changed("another channel", _SUBSCRIPTION, "/spec/channel", "beta"),
    changed("upgrades are approved by OLM", _SUBSCRIPTION, "/spec/installPlanApproval", "Automatic"),
    changed("another version is wanted", _SUBSCRIPTION, "/spec/startingCSV", "oci-service-operator.v9.9.9"),
    deleted(_SUBSCRIPTION),
    made("a second Subscription", olm("Subscription", "second"), _second_subscription),
    changed(
        "the CSV's image",
        CSV,
        "/spec/install/spec/deployments/0/spec/template/spec/containers/0/image",
        "example.com/osok:latest",
    ),
    changed("the CSV's webhook", CSV, "/spec/webhookdefinitions/0/failurePolicy", "Ignore"),
    Case(
        "the CSV failed",
        DriftKind.CHANGED,
        str(CSV),
        "/status/phase",
        None,
        lambda bench: bench.stranger.patched(CSV, ("/status/phase", "Failed"), status=True),
    ),
    made(
        "another release in another namespace",
        ObjectRef(CSV.api_version, CSV.kind, "oci-service-operator.v1.1.8", "default"),
        _other_release,
    ),
    changed("another image of the operator", deployment(_MANAGER), _IMAGE, "example.com/osok:latest"),
    changed(
        "other arguments of the operator",
        deployment(_MANAGER),
        f"{_POD}/containers/0/args",
        ["--x"],
        f"{_POD}/containers/0/args/0",
    ),
    changed(
        "the port behind OLM's Service",
        core("Service", f"{_MANAGER}-service"),
        "/spec/ports/0/targetPort",
        9444,
    ),
    deleted(core("Service", "oci-service-operator-webhook-service")),
    Case(
        "another operator's pod behind the webhooks",
        DriftKind.UNEXPECTED,
        f"Service {NS}/{_MANAGER}-service",
        "/spec/selector",
        "olm.install",
        lambda bench: bench.stranger.made(_foreign_endpoints(bench)),
    ),
    changed(
        "the operator's configuration",
        core("ConfigMap", "oci-service-operator-manager-config"),
        "/data/controller_manager_config.yaml",
        "{}",
    ),
    Case(
        "a key of the operator's Secret",
        DriftKind.MISSING,
        str(_CONFIG),
        "/data/useinstanceprincipal",
        None,
        lambda bench: bench.stranger.patched(_CONFIG, ("/data", {"other": ""})),
    ),
    removed(
        "a property less in a CRD", _MESHES, f"{_SCHEMA}/properties/spec/properties/compartmentId/maxLength"
    ),
    changed("a CRD is not served", _MESHES, "/spec/versions/0/served", False),  # noqa: FBT003 - a value
    added(
        "a version more of a CRD",
        _MESHES,
        "/spec/versions/1",
        {
            "name": "v9",
            "served": False,
            "storage": False,
            "schema": {"openAPIV3Schema": {"type": "object"}},
        },
    ),
    deleted(crd("streams.oci.oracle.com")),
)
"""R4–R8."""

WEBHOOK_CASES = (
    on_webhook("fails open", _CHANGED, _VALIDATING, _MESH, "/webhooks/0/failurePolicy", "Ignore"),
    on_webhook(
        "deletes are not asked", _CHANGED, _VALIDATING, _MESH, "/webhooks/0/rules/0/operations", ["CREATE"]
    ),
    on_webhook(
        "asked in some namespaces only",
        _UNEXPECTED,
        _VALIDATING,
        _MESH,
        "/webhooks/0/namespaceSelector",
        {"matchLabels": {"env": "prod"}},
    ),
    on_webhook(
        "another CA in a caBundle",
        _CHANGED,
        _VALIDATING,
        _MESH,
        "/webhooks/0/clientConfig/caBundle",
        _OTHER_CA,
    ),
    on_webhook("no CA", _MISSING, _VALIDATING, _MESH, "/webhooks/0/clientConfig/caBundle", None),
    on_webhook(
        "another path", _CHANGED, _VALIDATING, _MESH, "/webhooks/0/clientConfig/service/path", "/elsewhere"
    ),
    on_webhook("waits longer", _CHANGED, _MUTATING, _INJECTOR, "/webhooks/0/timeoutSeconds", 30),
    Case(
        "the injector is gone",
        DriftKind.MISSING,
        f"{_MUTATING} {_INJECTOR}",
        "",
        None,
        lambda bench: bench.stranger.deleted(webhook(bench, _MUTATING, _INJECTOR)),
    ),
    made(
        "registered twice",
        ObjectRef("", _VALIDATING, f"{_MESH}-zzzzz"),
        _second_configuration,
    ),
    made("somebody else calls it", ObjectRef("", _VALIDATING, "somebody-elses"), _foreign_configuration),
    Case(
        "cert-manager is told to write the caBundle",
        DriftKind.CONTESTED,
        f"{_VALIDATING} {_MESH}-?????",
        "/metadata/annotations/cert-manager.io~1inject-ca-from",
        STRANGER,
        lambda bench: bench.stranger.patched(
            webhook(bench, _VALIDATING, _MESH),
            ("/metadata/annotations", {"cert-manager.io/inject-ca-from": "x/y"}),
        ),
    ),
)
"""R9, R10."""
