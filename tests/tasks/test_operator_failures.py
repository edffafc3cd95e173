"""Installations that OLM does not carry through end with the right cause named (R6, R7), on OLM 0.46.0."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.core.catalogs import CatalogPlace, CatalogServer, address_catalog_source
from tasks.core.diagnosis import CauseKind
from tasks.core.errors import PrerequisiteError, StalledError
from tasks.core.installation import Installation
from tasks.core.manifests import ref_of
from tasks.operator.catalog import publish_catalog, wait_for_catalog
from tasks.operator.subscription import approve_install_plan, wait_for_csv_succeeded
from tests.support.small_installs import OPM, InstallSite, install_site, patiently, shortly
from tests.support.small_operators import SmallOperator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
    ),
]

CUP, JAR, MUG, PAN, TEA, URN = map(SmallOperator, ("cup", "jar", "mug", "pan", "tea", "urn"))
MODERN = SmallOperator("modern", min_kubernetes="99.0.0")
NEEDY = SmallOperator("needy", required_kind="leaves.garden.example.com")
CRASHER = SmallOperator("crasher", image_tag="crash")
BARISTA = SmallOperator("barista", group="tea")


@pytest.fixture(scope="module")
def site(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    with install_site(installed_world) as found:
        yield found


@pytest.fixture(scope="module")
def catalog(site: InstallSite) -> str:
    return site.offer((CUP, JAR, MUG, PAN, TEA, URN, MODERN, NEEDY, CRASHER, BARISTA))


def why_no_plan(site: InstallSite, installation: Installation, kind: CauseKind) -> str:
    """What the step says that waits for the InstallPlan in vain."""
    site.await_cause(installation, kind)
    with pytest.raises(StalledError) as caught:
        approve_install_plan(site.cluster, installation, shortly())
    return str(caught.value)


def why_no_success(site: InstallSite, installation: Installation, kind: CauseKind) -> str:
    """What the step says that waits for the ClusterServiceVersion in vain."""
    approve_install_plan(site.cluster, installation, patiently())
    site.await_cause(installation, kind)
    with pytest.raises(StalledError) as caught:
        wait_for_csv_succeeded(site.cluster, installation, shortly())
    return str(caught.value)


@pytest.mark.parametrize(
    ("server", "default_channel", "kind", "told"),
    [
        # A catalog that opm refuses to load: the real program ends, again and again.
        (OPM, "decaf", CauseKind.CATALOG_CRASH_LOOP, "last with exit code 1"),
        (
            CatalogServer(OPM.image.replace("/opm@", "/does-not-exist@")),
            "stable",
            CauseKind.IMAGE_PULL,
            "ImagePullBackOff",
        ),
    ],
    ids=["the program crashes", "its image cannot be pulled"],
)
def test_a_catalog_that_does_not_run_is_told_with_the_words_of_its_pod(
    site: InstallSite, server: CatalogServer, default_channel: str, kind: CauseKind, told: str
) -> None:
    """R7; operator-registry#984: a catalog image broke everyone, and all they saw was a timeout."""
    installation = CUP.installation(site.namespace())
    bundle = replace(CUP.bundle(), default_channel=default_channel)
    publish_catalog(site.cluster, bundle, installation, server)
    site.await_cause(installation, kind)

    with pytest.raises(StalledError) as caught:
        wait_for_catalog(site.cluster, installation, shortly())

    assert f"{kind}: Pod {installation.namespace}/cup-catalog-" in caught.value.found
    assert told in caught.value.found
    assert "decaf" in caught.value.found or kind is CauseKind.IMAGE_PULL


def test_a_pod_that_pod_security_forbids_is_told_with_the_rules_that_it_breaks(
    site: InstallSite, catalog: str
) -> None:
    """R7: nothing forbids the namespace up front, admission does when the Deployment makes its pod."""
    namespace = site.namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    installation = site.subscribe(MUG, namespace, catalog)

    told = why_no_success(site, installation, CauseKind.POD_SECURITY)

    assert f"POD_SECURITY: Deployment {namespace}/mug-manager" in told
    assert "runAsNonRoot != true" in told
    assert "pod-security.kubernetes.io/enforce label allows the pod" in told


def test_an_operator_whose_program_ends_is_told_with_its_last_words(site: InstallSite, catalog: str) -> None:
    installation = site.subscribe(CRASHER, site.namespace(), catalog)

    told = why_no_success(site, installation, CauseKind.OPERATOR_CRASH_LOOP)

    assert "panic: the image that always crashes" in told


def test_a_second_operator_group_that_comes_later_is_told_although_olm_keeps_silent(
    site: InstallSite, catalog: str
) -> None:
    """R7: OLM 0.46 writes no condition on the Subscription then."""
    namespace = site.namespace()
    site.operator_group(namespace, "first")
    installation = CUP.installation(namespace)
    publish_catalog(site.cluster, CUP.bundle(), installation, catalog)
    wait_for_catalog(site.cluster, installation, patiently())
    site.operator_group(namespace, "second")
    site.client.create(installation.subscription())

    told = why_no_plan(site, installation, CauseKind.SEVERAL_OPERATOR_GROUPS)

    assert f"SEVERAL_OPERATOR_GROUPS: Namespace {namespace}: OperatorGroups first, second" in told


def test_a_requirement_of_the_csv_that_is_not_met_is_told(site: InstallSite, catalog: str) -> None:
    """R7."""
    installation = site.subscribe(MODERN, site.namespace(), catalog)

    told = why_no_success(site, installation, CauseKind.REQUIREMENT_NOT_MET)

    assert "minKubeVersion (99.0.0) > server version" in told


def test_a_kind_that_no_operator_of_the_catalogs_provides_is_told(site: InstallSite, catalog: str) -> None:
    """R7."""
    installation = site.subscribe(NEEDY, site.namespace(), catalog)

    told = why_no_plan(site, installation, CauseKind.REQUIREMENT_NOT_MET)

    assert "garden.example.com" in told


@pytest.fixture
def dead_catalog(site: InstallSite) -> Iterator[None]:
    """A catalog for all namespaces at an address where nobody answers."""
    source = address_catalog_source(CatalogPlace("olm", "dead"), "nowhere.olm.svc:50051")
    site.client.create(source)
    site.see(ref_of(source), lambda live: bool((live.get("status") or {}).get("connectionState")))
    yield
    site.client.delete(ref_of(source))


@pytest.mark.usefixtures("dead_catalog")
def test_another_catalog_that_is_unreachable_blocks_only_where_the_group_includes_it(
    site: InstallSite, catalog: str
) -> None:
    """R7: an adopted OperatorGroup without the exclusion is blocked with the catalog named; ours is not."""
    adopted = site.namespace()
    site.operator_group(adopted, "theirs")
    blocked = site.subscribe(JAR, adopted, catalog)

    told = why_no_plan(site, blocked, CauseKind.OTHER_CATALOG_UNREACHABLE)
    outcome = site.install(PAN, site.namespace(), catalog)

    assert "OTHER_CATALOG_UNREACHABLE: CatalogSource olm/dead" in told
    assert "exclude-global-namespace-resolution" in told
    assert outcome.detail.endswith("Succeeded")


def test_kinds_that_another_operator_owns_fail_with_both_named(site: InstallSite, catalog: str) -> None:
    """R7: OLM's own words, for an account that may not look into other namespaces beforehand."""
    owner = site.namespace()
    site.install(TEA, owner, catalog)
    installation = site.subscribe(BARISTA, site.namespace(), catalog)

    told = why_no_success(site, installation, CauseKind.CRD_OWNER_CONFLICT)

    assert (
        f"ClusterServiceVersion {installation.namespace}/barista.v1.2.3: InterOperatorGroupOwnerConflict"
        in told
    )
    assert f"the same APIs are provided under OperatorGroup {owner}/osok-fleet" in told


def test_a_plan_that_would_install_more_is_not_approved(site: InstallSite, catalog: str) -> None:
    """R7: OLM resolves all Subscriptions of a namespace together."""
    namespace = site.namespace()
    site.subscribe(URN, namespace, catalog)
    installation = site.subscribe(CUP, namespace, catalog)

    with pytest.raises(PrerequisiteError) as caught:
        approve_install_plan(site.cluster, installation, patiently())

    plans = site.client.list_objects("operators.coreos.com/v1alpha1", "InstallPlan", namespace)
    assert caught.value.expected == "exactly cup.v1.2.3"
    assert "urn.v1.2.3" in caught.value.found
    assert [plan["spec"]["approved"] for plan in plans] == [False] * len(plans)
