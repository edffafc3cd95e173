"""Who owns a field: managedFields as API servers write them."""

from datetime import UTC, datetime

import pytest

from tasks.core.drift.items import FieldOwner
from tasks.core.drift.objects import exact_pointer
from tasks.core.drift.owners import owner_of
from tasks.core.manifests import Manifest

FIRST, LATER = "2026-11-01T10:00:00Z", "2026-11-02T10:00:00Z"
LIVE: Manifest = {
    "metadata": {
        "labels": {"app.kubernetes.io/name": "x"},
        "managedFields": [
            {
                "manager": "osok-fleet",
                "operation": "Apply",
                "time": FIRST,
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:selector": {},
                        "f:containers": {'k:{"name":"opm"}': {".": {}, "f:image": {}, "f:args": {}}},
                        "f:ports": {'k:{"port":443,"protocol":"TCP"}': {".": {}, "f:port": {}}},
                        "f:finalizers": {'v:"one"': {}},
                    },
                },
            },
            {
                "manager": "mallory",
                "operation": "Update",
                "time": LATER,
                "fieldsV1": {"f:spec": {"f:paused": {}, "f:replicas": {}}},
            },
        ],
    },
    "spec": {
        "replicas": 1,
        "paused": True,
        "selector": {"matchLabels": {"a": "b"}},
        "containers": [{"name": "sidecar"}, {"name": "opm", "image": "i", "args": ["serve"]}],
        "ports": [{"port": 443, "protocol": "TCP"}],
        "finalizers": ["one"],
        "free": 1,
    },
}


@pytest.mark.parametrize(
    ("pointer", "manager"),
    [
        ("/metadata/labels/app.kubernetes.io~1name", "osok-fleet"),
        ("/spec/paused", "mallory"),
        ("/spec/containers/1/image", "osok-fleet"),
        ("/spec/containers/opm/image", "osok-fleet"),
        ("/spec/ports/0/port", "osok-fleet"),
        ("/spec/finalizers/0", "osok-fleet"),
        # An atomic field is owned as a whole.
        ("/spec/selector/matchLabels/a", "osok-fleet"),
        ("/spec/containers/1/args/0", "osok-fleet"),
        # Several owners: the last writer.
        ("/spec/replicas", "mallory"),
    ],
)
def test_the_owner_is_whose_fields_contain_the_pointer(pointer: str, manager: str) -> None:
    owner = owner_of(LIVE, pointer)

    assert owner is not None
    assert owner.manager == manager


@pytest.mark.parametrize("pointer", ["/spec/free", "/spec/containers/0/image", "/spec/gone", "/spec/ports/7"])
def test_what_nobody_claims_has_no_owner(pointer: str) -> None:
    assert owner_of(LIVE, pointer) is None


def test_an_owner_tells_when_it_wrote_last() -> None:
    assert owner_of(LIVE, "/spec/paused") == FieldOwner(
        manager="mallory", operation="Update", at=datetime(2026, 11, 2, 10, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("pointer", "exact"),
    [
        ("/spec/containers/opm/image", "/spec/containers/1/image"),
        ("/spec/containers/gone/image", "/spec/containers/gone/image"),
        ("/spec/containers/1/image", "/spec/containers/1/image"),
        ("/metadata/labels/app.kubernetes.io~1name", "/metadata/labels/app.kubernetes.io~1name"),
    ],
)
def test_list_elements_are_named_by_their_position(pointer: str, exact: str) -> None:
    assert exact_pointer(LIVE, pointer) == exact
