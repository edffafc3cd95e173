"""Environment variables of containers, from values, fields, Secrets and ConfigMaps."""

import base64
from typing import Any

import pytest

from deployments.rehearsal.node.environment import ContainerConfigError, expand, resolve_environment
from tasks.core.manifests import Manifest, ObjectRef

POD: Manifest = {
    "metadata": {"name": "p", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-0"},
    "status": {"podIP": "198.18.0.2"},
}
OBJECTS: dict[ObjectRef, Manifest] = {
    ObjectRef("v1", "Secret", "login", "shop"): {
        "kind": "Secret",
        "data": {"user": base64.b64encode(b"anna").decode()},
    },
    ObjectRef("v1", "ConfigMap", "limits", "shop"): {"kind": "ConfigMap", "data": {"rate": "5"}},
}


def _resolve(*env: dict[str, Any], **container: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    return resolve_environment({"env": list(env), **container}, POD, {"PATH": "/bin"}, OBJECTS.get)


def test_values_may_refer_to_what_came_before() -> None:
    found = _resolve({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(PATH)-$(C)-$$(A)"})

    assert found["B"] == "1-/bin-$(C)-$(A)"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "shop"),
        ("spec.nodeName", "node-0"),
        ("status.podIP", "198.18.0.2"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert _resolve({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}})["X"] == value


def test_keys_of_secrets_and_config_maps() -> None:
    user = {"secretKeyRef": {"name": "login", "key": "user"}}
    rate = {"configMapKeyRef": {"name": "limits", "key": "rate"}}

    found = _resolve({"name": "USER", "valueFrom": user}, {"name": "RATE", "valueFrom": rate})

    assert (found["USER"], found["RATE"]) == ("anna", "5")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"name": "gone", "key": "user"}, 'secret "gone" not found'),
        ({"name": "login", "key": "gone"}, "couldn't find key gone in Secret shop/login"),
    ],
)
def test_what_is_missing_is_said_as_a_kubelet_says_it(reference: dict[str, str], message: str) -> None:
    variable = {"name": "X", "valueFrom": {"secretKeyRef": reference}}

    with pytest.raises(ContainerConfigError) as caught:
        _resolve(variable)

    assert str(caught.value) == message


@pytest.mark.parametrize("reference", [{"name": "gone", "key": "x"}, {"name": "login", "key": "gone"}])
def test_an_optional_key_that_is_missing_leaves_the_variable_out(reference: dict[str, Any]) -> None:
    found = _resolve({"name": "X", "valueFrom": {"secretKeyRef": {**reference, "optional": True}}})

    assert "X" not in found


def test_all_keys_of_an_object_with_a_prefix() -> None:
    sources = [{"prefix": "L_", "configMapRef": {"name": "limits"}}, {"secretRef": {"name": "login"}}]

    found = _resolve(envFrom=sources)

    assert (found["L_rate"], found["user"]) == ("5", "anna")


def test_an_object_for_all_keys_must_be_there_unless_optional() -> None:
    assert _resolve(envFrom=[{"secretRef": {"name": "gone", "optional": True}}]) == {"PATH": "/bin"}
    with pytest.raises(ContainerConfigError):
        _resolve(envFrom=[{"secretRef": {"name": "gone"}}])


def test_expansion_leaves_other_dollars_alone() -> None:
    assert expand("$A ${A} $(A)", {"A": "1"}) == "$A ${A} 1"
