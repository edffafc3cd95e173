"""The ClusterFleet and KubernetesCluster blocks refuse what cannot be meant."""

import pytest
from pydantic import ValidationError

from blocks.cluster_fleet import ClusterFleet
from blocks.kubernetes_cluster import KubernetesCluster

OCID = "ocid1.cluster.oc1.fra.a"


def oke(name: str, ocid: str = OCID) -> dict[str, object]:
    connection = {"kind": "oke", "tenancy": "acme", "region": "eu-frankfurt-1", "cluster_id": ocid}
    return {"name": name, "connection": connection}


def block(name: str, target: str) -> dict[str, object]:
    return {"name": name, "connection": {"kind": "block", "block": target}}


def test_a_fleet_may_mix_blocks_and_clusters_of_oke() -> None:
    fleet = ClusterFleet.model_validate({"clusters": [oke("fra"), block("lab", "kind")]})

    assert [entry.name for entry in fleet.clusters] == ["fra", "lab"]


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        ([oke("fra"), oke("fra", f"{OCID}b")], "two clusters have the name fra"),
        ([oke("fra"), oke("prod")], f"{OCID} has the names fra, prod"),
        ([block("fra", "kind"), block("prod", "kind")], "kind has the names fra, prod"),
        ([oke("Not A Block")], "should match pattern"),
        ([{"name": "fra", "connection": {"kind": "telepathy"}}], "does not match any of the expected tags"),
    ],
)
def test_a_fleet_is_judged_as_a_whole(clusters: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClusterFleet.model_validate({"clusters": clusters})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "OKE", "tenancy": "acme"}, "cluster_id: required when source is OKE"),
        ({"source": "OKE"}, "tenancy and cluster_id: required when source is OKE"),
        ({"source": "OKE", "tenancy": "acme", "cluster_id": "ocid1.vault.oc1..a"}, "should match pattern"),
        (
            {"source": "OKE", "tenancy": "acme", "cluster_id": OCID, "endpoint": "ADDRESS"},
            "endpoint_address belongs to endpoint ADDRESS",
        ),
        (
            {"source": "OKE", "tenancy": "acme", "cluster_id": OCID, "endpoint_address": "bastion:6443"},
            "endpoint_address belongs to endpoint ADDRESS",
        ),
        ({"source": "FILE", "context": "c"}, "kubeconfig_file: required when source is FILE"),
        ({"source": "CONTENT", "kubeconfig": "x"}, "context: required when source is CONTENT"),
    ],
)
def test_a_cluster_needs_what_its_source_needs(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KubernetesCluster.model_validate(fields)
