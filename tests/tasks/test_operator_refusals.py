"""What would go wrong later is refused before OLM is asked for anything (R4, R7), on OLM 0.46.0."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.bundle import bundle_files
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.core.bundles import Bundle, read_bundle
from tasks.core.errors import PrerequisiteError
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import built_in_profile, load_profile
from tasks.operator.namespace import prepare_operator_namespace
from tasks.operator.subscription import ensure_operator_group, subscribe, wait_for_csv_succeeded
from tests.support.small_installs import InstallSite, install_site, patiently
from tests.support.small_operators import SmallOperator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
    ),
]

ENFORCE = "pod-security.kubernetes.io/enforce"
OSOK = built_in_profile()
OSOK_NAMESPACE = "oci-service-operator-system"
OSOK_CSV = "oci-service-operator.v1.1.9"
KETTLE = SmallOperator("kettle")


@pytest.fixture(scope="module")
def site(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    with install_site(installed_world) as found:
        yield found


def osok_bundle() -> Bundle:
    return read_bundle({path: text.encode() for path, text in bundle_files().items()}, "the rehearsal")


def bundle_with_host_path() -> Bundle:
    """A bundle whose pods mount a host path, as OSOK's do; its kinds are nobody else's."""
    bundle = KETTLE.bundle()
    pod = bundle.csv["spec"]["install"]["spec"]["deployments"][0]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "pki", "hostPath": {"path": "/etc/pki"}}]
    return bundle


def pod(namespace: str, **labels: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/other/manager:1"}]},
    }


@pytest.mark.parametrize("level", ["restricted", "baseline"])
def test_a_namespace_whose_pod_security_forbids_the_host_path_is_refused(
    site: InstallSite, level: str
) -> None:
    """R4."""
    namespace = site.namespace({ENFORCE: level})

    with pytest.raises(PrerequisiteError, match=f"found {level}. Choose another namespace"):
        prepare_operator_namespace(
            site.cluster, load_profile(KETTLE.profile(), "test"), bundle_with_host_path(), namespace
        )


def test_a_namespace_where_the_webhook_service_would_select_others_pods_is_refused(site: InstallSite) -> None:
    """R4: OSOK's label is that of a whole family of operators."""
    namespace = site.namespace()
    account = ObjectRef("v1", "ServiceAccount", "default", namespace)
    site.see(account, bool)
    site.client.create(pod(namespace, **{"control-plane": "controller-manager"}))

    with pytest.raises(PrerequisiteError, match=r"found stranger \(no controller\)\. Choose"):
        prepare_operator_namespace(site.cluster, OSOK, bundle_with_host_path(), namespace)


def test_an_operator_that_is_installed_elsewhere_is_refused_before_anything_is_written(
    site: InstallSite,
) -> None:
    """R4: both would cover all namespaces."""
    with pytest.raises(PrerequisiteError) as caught:
        prepare_operator_namespace(site.cluster, OSOK, osok_bundle(), "small-never-made")

    assert caught.value.found == f"ClusterServiceVersion {OSOK_NAMESPACE}/{OSOK_CSV}"
    assert site.client.get(ObjectRef("v1", "Namespace", "small-never-made")) is None


def test_the_copy_of_an_installed_operator_is_never_taken_for_an_installation(site: InstallSite) -> None:
    """R7: OLM calls a Subscription beside it AtLatestKnown, although nothing runs there."""
    namespace = site.namespace()
    copied = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", OSOK_CSV, namespace)
    site.see(copied, lambda live: (live.get("status") or {}).get("phase") == "Succeeded")
    installation = Installation(namespace, "oci-service-operator", "alpha", OSOK_CSV, "any-catalog")

    with pytest.raises(PrerequisiteError, match=f"a copy of ClusterServiceVersion {OSOK_NAMESPACE}/"):
        subscribe(site.cluster, installation)
    with pytest.raises(PrerequisiteError, match=f"a copy of ClusterServiceVersion {OSOK_NAMESPACE}/"):
        wait_for_csv_succeeded(site.cluster, installation, patiently())

    assert site.client.list_objects("operators.coreos.com/v1alpha1", "Subscription", namespace) == []


def test_two_operator_groups_are_refused_by_name(site: InstallSite) -> None:
    """R7."""
    namespace = site.namespace()
    site.operator_group(namespace, "one")
    site.operator_group(namespace, "two")

    with pytest.raises(PrerequisiteError, match=r"found one, two\. Delete the ones"):
        ensure_operator_group(site.cluster, KETTLE.installation(namespace))


def test_an_operator_group_for_one_namespace_is_refused(site: InstallSite) -> None:
    """R7: OSOK's only install mode is AllNamespaces."""
    namespace = site.namespace()
    site.operator_group(namespace, "narrow", targetNamespaces=[namespace])

    with pytest.raises(PrerequisiteError, match=rf"OperatorGroup {namespace}/narrow\).*targetNamespaces"):
        ensure_operator_group(site.cluster, KETTLE.installation(namespace))


def test_an_operator_group_for_all_namespaces_is_adopted_as_it_is(site: InstallSite) -> None:
    """R7."""
    namespace = site.namespace()
    site.operator_group(namespace, "theirs")

    outcome = ensure_operator_group(site.cluster, KETTLE.installation(namespace))

    assert (outcome.changed, outcome.detail) == ((), "OperatorGroup theirs serves all namespaces")
