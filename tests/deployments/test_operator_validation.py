"""What the nine validators admit and refuse (R9: the dry-run calls of the verification)."""

import copy
from typing import Any

import pytest

from deployments.rehearsal.operator.admission import Request, Verdict
from deployments.rehearsal.operator.kinds import MESH_KINDS
from deployments.rehearsal.operator.validation import KIND_RULES, judge
from tasks.core.profiles import ValidatorProof, built_in_profile

Manifest = dict[str, Any]

PROOFS: dict[str, ValidatorProof] = {
    webhook.proof.allowed["kind"]: webhook.proof for webhook in built_in_profile().webhooks if webhook.proof
}
KINDS = [each.kind for each in MESH_KINDS]


def _judge(
    manifest: Manifest, operation: str = "CREATE", old: Manifest | None = None, *, service: bool = True
) -> Verdict:
    request = Request("u", operation, "ns", manifest["metadata"]["name"], manifest, old or {})
    return judge(KIND_RULES[manifest["kind"]], request, lambda _namespace, _name: service)


def _sample(kind: str) -> Manifest:
    return copy.deepcopy(PROOFS[kind].allowed)


def test_every_kind_of_the_mesh_has_rules_and_a_proof() -> None:
    assert set(KIND_RULES) == set(KINDS) == set(PROOFS)


@pytest.mark.parametrize("kind", KINDS)
def test_admits_what_the_profile_says_the_real_operator_admits(kind: str) -> None:
    assert _judge(PROOFS[kind].allowed).denial == ""


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_what_the_profile_says_the_real_operator_refuses(kind: str) -> None:
    assert PROOFS[kind].denial in _judge(PROOFS[kind].denied).denial


@pytest.mark.parametrize("kind", KINDS)
def test_a_delete_is_always_allowed(kind: str) -> None:
    assert _judge(PROOFS[kind].denied, "DELETE").denial == ""


@pytest.mark.parametrize("kind", KINDS)
def test_an_unchanged_update_is_allowed(kind: str) -> None:
    assert _judge(_sample(kind), "UPDATE", old=_sample(kind)).denial == ""


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_spec_is_refused(kind: str) -> None:
    assert _judge({**_sample(kind), "spec": {}}).denial


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, rules.reference) for kind, rules in KIND_RULES.items() if rules.reference],
)
def test_a_reference_is_by_name_or_by_id_but_not_both(kind: str, field: str) -> None:
    both, neither = _sample(kind), _sample(kind)
    both["spec"][field] = {"id": "ocid1.x", "ref": {"name": "x"}}
    neither["spec"][field] = {}

    assert _judge(both).denial == f"spec.{field} cannot contain both ref and id"
    assert _judge(neither).denial == f"spec.{field} cannot be empty, it needs ref or id"


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, rules in KIND_RULES.items() for field in rules.immutable]
)
def test_what_identifies_a_resource_cannot_change(kind: str, field: str) -> None:
    old = _sample(kind)
    old["spec"][field] = "something else"

    assert _judge(_sample(kind), "UPDATE", old=old).denial == f"spec.{field} is immutable"


@pytest.mark.parametrize("authorities", [[], [{}], [{"id": ""}], [{"id": "a"}, {"id": "b"}], None])
def test_a_mesh_needs_exactly_one_certificate_authority(authorities: object) -> None:
    mesh = _sample("Mesh")
    mesh["spec"]["certificateAuthorities"] = authorities

    assert _judge(mesh).denial == "spec.certificateAuthorities needs exactly one entry with an id"


@pytest.mark.parametrize(("count", "allowed"), [(0, False), (1, True), (50, True), (51, False)])
def test_an_access_policy_has_one_to_fifty_rules(count: int, allowed: bool) -> None:  # noqa: FBT001 - a table
    policy = _sample("AccessPolicy")
    policy["spec"]["rules"] *= count

    assert (_judge(policy).denial == "") is allowed


@pytest.mark.parametrize(
    ("end", "target"),
    [
        ("source", {"externalService": {}}),
        ("destination", {"ingressGateway": {"id": "x"}}),
        ("source", {"allVirtualServices": {}, "virtualService": {"id": "x"}}),
        ("destination", {"virtualService": {}}),
    ],
)
def test_an_access_policy_refuses_impossible_targets(end: str, target: Manifest) -> None:
    policy = _sample("AccessPolicy")
    policy["spec"]["rules"][0][end] = target

    assert _judge(policy).denial


def test_a_gateway_with_an_http_listener_needs_host_names() -> None:
    gateway = _sample("IngressGateway")
    del gateway["spec"]["hosts"][0]["hostnames"]

    assert _judge(gateway).denial == "spec.hosts[0] needs hostnames for its HTTP listener"


def test_a_gateway_deployment_names_each_secret_once() -> None:
    deployment = _sample("IngressGatewayDeployment")
    deployment["spec"]["secrets"] = [{"secretName": "a"}, {"secretName": "a"}]

    assert _judge(deployment).denial == "spec.secrets names a Secret twice"


def test_a_binding_by_name_needs_its_service() -> None:
    binding = _sample("VirtualDeploymentBinding")
    binding["spec"]["virtualDeployment"] = {"ref": {"name": "x"}}

    assert _judge(binding, service=True).denial == ""
    assert "does not exist" in _judge(binding, service=False).denial


@pytest.mark.parametrize("length", [190, 191])
def test_a_name_has_at_most_190_characters(length: int) -> None:
    mesh = _sample("Mesh")
    mesh["metadata"]["name"] = "x" * length

    assert (_judge(mesh).denial == "") is (length == 190)
