"""The operator's namespace: made, or checked to be fit (R4)."""

from collections.abc import Iterable

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.converge import converge_within, written
from tasks.connections import open_cluster
from tasks.core.bundles import Bundle
from tasks.core.errors import ClusterForbiddenError
from tasks.core.installation import NOT_COPIED, refuse_other_provider
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.namespaces import namespace_manifest, refuse_selected_neighbours, refuse_unfit_namespace
from tasks.core.outcomes import StepOutcome
from tasks.core.profiles import OperatorProfile
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.steps import step


@step("prepare-operator-namespace")
def prepare_operator_namespace(
    cluster: KubernetesCluster,
    profile: OperatorProfile,
    bundle: Bundle,
    namespace: str,
    scope: WriteScope = EVERYTHING,
) -> StepOutcome:
    """Create the namespace, or check the one that is there; a repair puts our labels on it back.

    Raises:
        PrerequisiteError: PodSecurity forbids the operator's pods, its Services would select others' pods, or
            an operator in another namespace provides its kinds already.
    """
    client = open_cluster(cluster)
    wanted = wanted_namespace(client, profile, bundle, namespace, scope)
    if not wanted:
        return StepOutcome(detail=f"namespace {namespace} is fit")
    return StepOutcome(written(converge_within(client, wanted, scope)), f"namespace {namespace} written")


def wanted_namespace(
    client: ClusterClient,
    profile: OperatorProfile,
    bundle: Bundle,
    namespace: str,
    scope: WriteScope = EVERYTHING,
) -> list[Manifest]:
    """What the step would write; raises as it does."""
    refuse_other_provider(_csvs_everywhere(client), bundle.csv, namespace)
    live = client.get(ObjectRef("v1", "Namespace", namespace))
    if live is None or scope.takes_back:
        return [namespace_manifest(namespace, bundle.csv)]
    refuse_unfit_namespace(live, bundle.csv)
    pods = client.list_objects("v1", "Pod", namespace)
    refuse_selected_neighbours(pods, profile.pod_labels, profile.deployment, namespace)
    return []


def _csvs_everywhere(client: ClusterClient) -> Iterable[Manifest]:
    try:
        return client.list_objects(
            "operators.coreos.com/v1alpha1", "ClusterServiceVersion", label_selector=NOT_COPIED
        )
    except ClusterForbiddenError:
        # Early knowledge only: an account that may look into its own namespace learns it from OLM later.
        return ()
