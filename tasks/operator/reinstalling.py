"""Has OLM install an operator anew: it writes its Deployments, Service and webhook configurations again (R7).

OLM looks at its Deployments by itself. It has no watch on webhook configurations, and writes them only when
a ClusterServiceVersion goes through its phase InstallReady (pkg/controller/install/webhook.go).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import open_cluster
from tasks.core.deadlines import Deadline
from tasks.core.errors import StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.outcomes import StepOutcome
from tasks.steps import step

_ASKED_AGAIN_AFTER = timedelta(seconds=20)


def ask_for_reinstall(client: ClusterClient, csv: ObjectRef) -> None:
    """As OLM's own test/e2e/webhook_e2e_test.go does ("Reuses existing valid certs")."""
    client.patch(csv, {"status": {"phase": "Pending"}}, subresource="status")


@step("reinstall-operator")
def reinstall_operator(cluster: KubernetesCluster, csv: ObjectRef, until: datetime) -> StepOutcome:
    """Ask OLM to install the operator of a ClusterServiceVersion again, and wait until it has.

    OLM before 0.28.0 deletes and recreates the operator's Service for it: webhooks fail for a moment.

    Raises:
        StalledError: It did not succeed in time; the message says what the ClusterServiceVersion says.
    """
    client, deadline = open_cluster(cluster), deadline_at(until)
    before = _installations(client.get(csv))
    while True:
        ask_for_reinstall(client, csv)
        # OLM may write a status of its own over the question, and is asked again then.
        if _wait(client, csv, before, deadline):
            return StepOutcome((f"UPDATED {csv}: status.phase",), f"OLM installed {csv.name} again")
        if deadline.expired:
            status = (client.get(csv) or {}).get("status") or {}
            raise StalledError(
                "have OLM install the operator again",
                f"{client.name}: {csv}",
                "phase Succeeded after InstallReady",
                f"phase {status.get('phase') or 'unknown'}: {status.get('message', '')}".rstrip(": "),
                "Look at the events of the namespace and at the log of olm-operator.",
            )


def _wait(client: ClusterClient, csv: ObjectRef, before: frozenset[str], deadline: Deadline) -> bool:
    return wait_for(
        lambda: _is_done(client.get(csv), before), lambda done: done, deadline.part(_ASKED_AGAIN_AFTER)
    )


def _is_done(csv: Manifest | None, before: Iterable[str]) -> bool:
    phase = ((csv or {}).get("status") or {}).get("phase")
    return phase == "Succeeded" and bool(_installations(csv) - frozenset(before))


def _installations(csv: Manifest | None) -> frozenset[str]:
    """When it went through InstallReady; OLM keeps its last 20 conditions."""
    conditions = ((csv or {}).get("status") or {}).get("conditions") or []
    return frozenset(
        str(one.get("lastUpdateTime")) for one in conditions if one.get("phase") == "InstallReady"
    )
