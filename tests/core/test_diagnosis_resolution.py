"""Why OLM finds no InstallPlan: OperatorGroups, catalogs and conflicts (R7)."""

import pytest

from tasks.core.diagnosis import CauseKind, StallObservation, diagnose
from tasks.core.manifests import Manifest
from tests.core.diagnosis_objects import (
    CATALOG,
    NS,
    catalog,
    condition,
    csv,
    group,
    kinds,
    observe,
    plan,
    subscription,
)

RESOLUTION_PREVENTED = "ErrorPreventedResolution"
UNSATISFIABLE = "ConstraintsNotSatisfiable"
SAID_HEALTHY = condition("CatalogSourcesUnhealthy", "False", "AllCatalogSourcesHealthy")


def unresolved(message: str, reason: str = RESOLUTION_PREVENTED, **found: object) -> StallObservation:
    failed = condition("ResolutionFailed", "True", reason, message)
    return observe(subscription=subscription(failed), **found)


def test_two_operator_groups_are_the_cause() -> None:
    """R7: second OperatorGroup in the namespace."""
    observed = observe(
        subscription=subscription(),
        groups=(group("osok-fleet"), group("team-a")),
        csvs=(
            csv("Failed", "TooManyOperatorGroups", "csv created in namespace with multiple operatorgroups"),
        ),
    )
    cause = diagnose(observed)[0]
    assert (cause.kind, cause.evidence) == (
        CauseKind.SEVERAL_OPERATOR_GROUPS,
        "OperatorGroups osok-fleet, team-a",
    )


def test_a_namespace_without_an_operator_group_is_a_cause() -> None:
    """R7: OLM 0.46 writes no condition about it (tried)."""
    observed = observe(subscription=subscription(SAID_HEALTHY), groups=(group("a", "elsewhere"),))
    assert [(c.kind, c.evidence) for c in diagnose(observed)] == [
        (CauseKind.NO_OPERATOR_GROUP, "there is no OperatorGroup in it")
    ]


def test_a_group_is_not_missed_before_the_subscription_exists() -> None:
    """The catalog is published before the OperatorGroup."""
    assert kinds(observe(groups=())) == []


def test_groups_that_could_not_be_read_are_no_cause() -> None:
    assert kinds(observe(subscription=subscription(), groups=None)) == []


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("expected 1 OperatorGroup in the namespace, found 2", CauseKind.SEVERAL_OPERATOR_GROUPS),
        ("expected 1 OperatorGroup in the namespace, found 0", CauseKind.NO_OPERATOR_GROUP),
    ],
)
def test_the_resolver_complains_about_operator_groups(message: str, kind: CauseKind) -> None:
    """R7: OLM 0.46 refuses before it resolves."""
    assert kinds(unresolved(message)) == [kind]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("no operator group found that is managing this namespace", CauseKind.NO_OPERATOR_GROUP),
        (
            "more than one operator group(s) are managing this namespace count=2",
            CauseKind.SEVERAL_OPERATOR_GROUPS,
        ),
    ],
)
def test_the_install_plan_complains_about_operator_groups(message: str, kind: CauseKind) -> None:
    """R7: the text that the InstallPlan carries, in both OLM versions."""
    failed = condition("Installed", "False", "InstallCheckFailed", message)
    observed = observe(
        subscription=subscription(plan="install-abcde"),
        plans=(plan(phase="Installing", conditions=[failed]),),
    )
    assert kinds(observed) == [kind]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("NoOperatorGroup", CauseKind.NO_OPERATOR_GROUP),
        ("TooManyOperatorGroups", CauseKind.SEVERAL_OPERATOR_GROUPS),
        ("UnsupportedOperatorGroup", CauseKind.UNSUPPORTED_OPERATOR_GROUP),
        ("NoTargetNamespaces", CauseKind.UNSUPPORTED_OPERATOR_GROUP),
    ],
)
def test_the_csv_complains_about_operator_groups(reason: str, kind: CauseKind) -> None:
    """R7."""
    assert kinds(observe(csvs=(csv("Failed", reason, "…"),))) == [kind]


@pytest.mark.parametrize(
    "message",
    [
        (
            "error using catalogsource olm/operatorhubio-catalog: no registry client established for "
            "catalogsource "
            "olm/operatorhubio-catalog"
        ),
        (
            "error using catalog operatorhubio-catalog (in namespace olm): failed to list bundles: rpc "
            'error: code = Unavailable desc = connection error: desc = "transport: Error while dialing"'
        ),
        (
            "failed to populate resolver cache from source operatorhubio-catalog/olm: failed to list "
            "bundles: rpc error"
        ),
    ],
)
def test_another_catalog_that_blocks_the_resolution_is_named(message: str) -> None:
    """R7: the texts of OLM 0.46, 0.20 and those between."""
    causes = diagnose(unresolved(message))
    assert [(cause.kind, str(cause.subject)) for cause in causes] == [
        (CauseKind.OTHER_CATALOG_UNREACHABLE, "CatalogSource olm/operatorhubio-catalog")
    ]


def test_several_bad_catalogs_are_all_named_each_with_its_own_words() -> None:
    message = (
        "[error using catalogsource olm/a: failed to list bundles: rpc error: one, "
        f"error using catalogsource {NS}/{CATALOG}: failed to list bundles: rpc error: two]"
    )
    assert [(cause.kind, cause.evidence) for cause in diagnose(unresolved(message))] == [
        (
            CauseKind.OTHER_CATALOG_UNREACHABLE,
            "error using catalogsource olm/a: failed to list bundles: rpc error: one",
        ),
        (
            CauseKind.CATALOG_UNREACHABLE,
            f"error using catalogsource {NS}/{CATALOG}: failed to list bundles: rpc error: two",
        ),
    ]


OWN_CATALOGS_ONLY = {"olm.operatorframework.io/exclude-global-namespace-resolution": "true"}
BROKEN = catalog("operatorhubio-catalog", "olm", "TRANSIENT_FAILURE")


def test_an_unhealthy_global_catalog_counts_while_nothing_is_resolved() -> None:
    """R7."""
    observed = observe(subscription=subscription(SAID_HEALTHY), catalogs=(catalog(), BROKEN))
    assert kinds(observed) == [CauseKind.OTHER_CATALOG_UNREACHABLE]


@pytest.mark.parametrize(
    "found",
    [
        {"groups": (group(annotations=OWN_CATALOGS_ONLY),)},
        {"csvs": (csv("Succeeded"),)},
    ],
)
def test_a_global_catalog_that_is_not_looked_at_does_not_count(found: dict[str, object]) -> None:
    observed = observe(subscription=subscription(SAID_HEALTHY), catalogs=(catalog(), BROKEN), **found)
    assert kinds(observed) == []


@pytest.mark.parametrize(
    ("catalogs", "evidence"),
    [
        ((catalog(state="TRANSIENT_FAILURE"),), f"TRANSIENT_FAILURE ({CATALOG}.{NS}.svc:50051)"),
        ((), "there is no such CatalogSource"),
    ],
)
def test_the_own_catalog_that_is_not_connected_is_named(
    catalogs: tuple[Manifest, ...], evidence: str
) -> None:
    """R7."""
    cause = diagnose(observe(subscription=subscription(), catalogs=catalogs))[0]
    assert (cause.kind, cause.evidence) == (CauseKind.CATALOG_UNREACHABLE, evidence)


def test_a_catalog_pod_that_pod_security_refuses_is_told_before_the_catalog() -> None:
    """R7: OLM creates the pod itself, so the refusal stands in the CatalogSource."""
    message = (
        "couldn't ensure registry server - error ensuring pod: : error creating new pod: osok-: pods "
        '"osok-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    )
    broken = catalog(state="", reason="RegistryServerError", message=message)
    observed = observe(subscription=subscription(), catalogs=(broken,))
    assert kinds(observed) == [CauseKind.POD_SECURITY, CauseKind.CATALOG_UNREACHABLE]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            (
                "constraints not satisfiable: no operators found in channel alpha of package "
                "oci-service-operator in "
                "the catalog referenced by subscription oci-service-operator, subscription "
                "oci-service-operator exists"
            ),
            CauseKind.NOT_IN_CATALOG,
        ),
        (
            (
                "constraints not satisfiable: clusterserviceversion mesh.v1 exists and is not referenced "
                "by a subscription, subscription oci-service-operator exists"
            ),
            CauseKind.CRD_OWNER_CONFLICT,
        ),
        (
            (
                "constraints not satisfiable: @existing/ns//mesh.v1 and osok/ns/alpha/osok.v1.1.9 provide "
                "Mesh (servicemesh.oci.oracle.com/v1beta1), subscription mesh exists"
            ),
            CauseKind.CRD_OWNER_CONFLICT,
        ),
        (
            (
                "constraints not satisfiable: bundle osok.v1.1.9 requires an operator providing an API with "
                "group: x"
            ),
            CauseKind.REQUIREMENT_NOT_MET,
        ),
        ("something new", CauseKind.RESOLUTION_FAILED),
    ],
)
def test_the_resolvers_message_tells_the_cause(message: str, kind: CauseKind) -> None:
    """R7."""
    assert kinds(unresolved(message, UNSATISFIABLE)) == [kind]


def test_a_subscription_that_olm_never_looked_at_is_a_cause() -> None:
    """R7."""
    untouched = {**subscription(), "status": {}}
    assert kinds(observe(subscription=untouched)) == [CauseKind.OLM_SILENT]


def test_nothing_is_missed_before_the_subscription_exists() -> None:
    assert kinds(observe(catalogs=())) == []


def test_a_healthy_neighbour_is_no_cause() -> None:
    neighbours = (catalog(), catalog("community", "olm"), catalog("new", "olm", "CONNECTING"), BROKEN)
    observed = observe(subscription=subscription(SAID_HEALTHY), catalogs=neighbours)
    assert [c.subject.name for c in diagnose(observed)] == ["operatorhubio-catalog"]
