"""Manifests are read whole, named, and found at their REST path."""

import pytest

from tasks.core.errors import ManifestError
from tasks.core.manifests import RESOURCE_TYPES, ObjectRef, read_manifests, ref_of


def test_documents_and_lists_are_opened_and_empty_ones_dropped() -> None:
    text = """
apiVersion: v1
kind: Namespace
metadata: {name: a}
---
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: a}}
"""

    assert [str(ref_of(manifest)) for manifest in read_manifests(text, "x.yaml")] == [
        "Namespace a",
        "Secret a/b",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "expected YAML documents"),
        ("- just\n- a list", "document 1.*expected a mapping; found a list"),
        ("kind: Pod", "expected the field apiVersion and metadata.name"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifests(text, "x.yaml")


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ObjectRef("v1", "Secret", "s", "n"), "/api/v1/namespaces/n/secrets/s"),
        (ObjectRef("v1", "Namespace", "n"), "/api/v1/namespaces/n"),
        (ObjectRef("apps/v1", "Deployment", "d", "n"), "/apis/apps/v1/namespaces/n/deployments/d"),
    ],
)
def test_an_object_has_one_path(ref: ObjectRef, path: str) -> None:
    resource = RESOURCE_TYPES[ref.api_version, ref.kind]

    assert resource.path(ref.namespace, ref.name) == path


def test_a_namespaced_kind_without_a_namespace_is_listed_everywhere() -> None:
    assert RESOURCE_TYPES["v1", "Pod"].path() == "/api/v1/pods"


def test_a_date_without_quotes_is_a_string_as_for_kubernetes() -> None:
    text = "{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {createdAt: 2023-07-06}}}"

    assert read_manifests(text, "x.yaml")[0]["metadata"]["annotations"] == {"createdAt": "2023-07-06"}


@pytest.mark.parametrize(
    "text", ["{apiVersion: v1, kind: 7, metadata: {name: a}}", "{kind: A, metadata: [1]}"]
)
def test_fields_of_another_type_are_named(text: str) -> None:
    with pytest.raises(ManifestError, match="expected the field"):
        read_manifests(text, "x.yaml")
