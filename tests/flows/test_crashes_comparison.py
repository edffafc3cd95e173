"""The comparison behind the crash tests sees what matters and overlooks what is different everywhere."""

from copy import deepcopy

from tasks.core.manifests import Manifest
from tests.support.cluster_states import differences_between, scrubbed

PLAN: Manifest = {
    "apiVersion": "operators.coreos.com/v1alpha1",
    "kind": "InstallPlan",
    "metadata": {
        "name": "install-abcde",
        "generateName": "install-",
        "namespace": "osok",
        "uid": "0c2ddba1-6a2f-4b2a-9a48-5f0c1d3a2b4c",
        "resourceVersion": "77",
        "creationTimestamp": "2026-11-25T04:28:36Z",
    },
    "spec": {"approved": True, "clusterServiceVersionNames": ["osok.v1.1.9"]},
    "status": {"phase": "Complete", "startTime": "2026-11-25T04:28:36Z"},
}
SUBSCRIPTION: Manifest = {
    "apiVersion": "operators.coreos.com/v1alpha1",
    "kind": "Subscription",
    "metadata": {"name": "osok", "namespace": "osok"},
    "status": {"installplan": {"name": "install-abcde"}, "address": "127.66.3.4:443"},
}


def test_names_identities_times_and_addresses_make_no_difference() -> None:
    plan, subscription = deepcopy(PLAN), deepcopy(SUBSCRIPTION)
    plan["metadata"] |= {"name": "install-zzzzz", "resourceVersion": "99"}
    plan["metadata"]["uid"] = "aaaaaaaa-6a2f-4b2a-9a48-5f0c1d3a2b4c"
    plan["status"]["startTime"] = "2027-01-01T00:00:00.5Z"
    subscription["status"] = {"installplan": {"name": "install-zzzzz"}, "address": "127.70.0.9:443"}

    found = differences_between(scrubbed([PLAN, SUBSCRIPTION]), scrubbed([plan, subscription]))

    assert found == []


def test_a_field_that_somebody_decided_on_is_named_with_both_values() -> None:
    changed = deepcopy(PLAN)
    changed["spec"]["approved"] = False

    found = differences_between(scrubbed([PLAN]), scrubbed([changed]))

    assert found == ["InstallPlan osok/install-<made-up> #1: .spec.approved: True | False"]


def test_an_object_too_many_is_named() -> None:
    """A second InstallPlan of a killed run would be one."""
    second = deepcopy(PLAN)
    second["metadata"]["name"] = "install-zzzzz"

    [found] = differences_between(scrubbed([PLAN]), scrubbed([PLAN, second]))

    assert found.startswith("InstallPlan osok/install-<made-up> #2: : None | {")
