"""A real API server calls a real webhook: its answer, and ours (runbook R12, R13, R15, R18, R21, R22)."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_request_policy import ClusterExpectation, check_cluster_request
from tasks.core.certificates.cluster_requests import (
    RequestState,
    approved,
    build_cluster_request,
    denied,
    issued,
    issued_certificate,
    request_name,
    show_request,
    state_of,
)
from tasks.core.certificates.issuing import check_issued, sign_request
from tasks.core.certificates.keys import KeySpec
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import recommended_plan
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.errors import ClusterError, ClusterRejectedError
from tasks.core.manifests import Manifest, ObjectRef
from tests.core.certificates.signing import authority_at, key_of
from tests.core.certificates.webhook_server import PORT, WebhookServer
from tests.core.certificates.workshop import (
    CLIENT_AUTH,
    DAY,
    INTERMEDIATE,
    LEAF,
    ROOT,
    SERVER_AUTH,
    Recipe,
    ec_key,
    make,
    pem,
    private_key,
)

pytestmark = pytest.mark.cluster

# The API server looks at the real clock.
TODAY = datetime.now(UTC).replace(microsecond=0)
SERVICE, CSR_API = "webhook", "certificates.k8s.io/v1"


@pytest.fixture(name="client")
def _client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


@pytest.fixture(name="namespace")
def _namespace(client: ClusterClient) -> Iterator[str]:
    made = client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "tls-"}})
    yield made["metadata"]["name"]
    client.delete(ObjectRef("v1", "Namespace", made["metadata"]["name"]))


@pytest.fixture(name="address")
def _address(client: ClusterClient, namespace: str) -> str:
    """The ClusterIP of the webhook's Service, a loopback address of this control plane."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": namespace},
        "spec": {"ports": [{"port": PORT}]},
    }
    return str(client.create(service)["spec"]["clusterIP"])


@dataclass(frozen=True)
class Served:
    """One case: how leaf, intermediate and root differ from good ones, and what the caBundle has."""

    leaf: dict[str, object]
    root: dict[str, object]
    through: bool = False
    trusted: str = "root"
    answer: str = ""


_PAST, _YEAR = TODAY - 30 * DAY, TODAY + 300 * DAY
_NONE: dict[str, object] = {}
CASES = {
    "three names, own CA": Served(_NONE, _NONE),
    "intermediate presented": Served(_NONE, _NONE, through=True),
    "intermediate as trust anchor": Served(_NONE, _NONE, through=True, trusted="intermediate"),
    "server.crt as olmCAKey": Served(_NONE, _NONE, trusted="leaf"),
    "constrained CA": Served(_NONE, {"permitted": ("svc", "cluster.local", "webhook.{ns}")}),
    "old and new CA": Served(_NONE, _NONE, trusted="both"),
    "the page's name": Served(
        {"dns": ("webhook.{ns}.svc.cluster.local",)}, _NONE, answer="certificate is valid for"
    ),
    "common name alone": Served(
        {"dns": None, "name": "webhook.{ns}.svc"}, _NONE, answer="relies on legacy Common Name field"
    ),
    "another CA": Served(_NONE, _NONE, trusted="other", answer="signed by unknown authority"),
    "expired leaf": Served({"not_after": TODAY - DAY}, _NONE, answer="has expired or is not yet valid"),
    "expired CA": Served(_NONE, {"not_after": TODAY - DAY}, answer="has expired or is not yet valid"),
    "for clients": Served({"purposes": (CLIENT_AUTH,)}, _NONE, answer="incompatible key usage"),
    "CA for other names": Served(
        _NONE, {"permitted": ("example.com",)}, answer="not authorized to sign for this name"
    ),
}


def _recipe(base: Recipe, namespace: str, changes: dict[str, object]) -> Recipe:
    def fill(value: object) -> object:
        if isinstance(value, str):
            return value.format(ns=namespace)
        return tuple(fill(one) for one in value) if isinstance(value, tuple) else value

    dated = replace(base, not_before=_PAST, not_after=_YEAR)
    return replace(dated, **{name: fill(value) for name, value in changes.items()})  # type: ignore[arg-type]  # reason: fields by name


def _files(case: Served, namespace: str) -> tuple[bytes, bytes]:
    """What the server presents and what the caBundle has."""
    names = WebhookTarget(namespace, (SERVICE,)).dns_names
    root = _recipe(ROOT, namespace, case.root)
    between = _recipe(INTERMEDIATE, namespace, {})
    leaf = _recipe(replace(LEAF, dns=names), namespace, case.leaf)
    served = make(leaf, between if case.through else root)
    middle, anchor = make(between, root), make(root)
    other = make(_recipe(replace(ROOT, name="Root B", key=ec_key(4)), namespace, {}))
    trusted = {
        "root": [anchor],
        "leaf": [served],
        "intermediate": [middle],
        "other": [other],
        "both": [other, anchor],
    }
    return pem(served, middle) if case.through else pem(served), pem(*trusted[case.trusted])


def _configuration(namespace: str, ca_bundle: bytes) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"check-{namespace}"},
        "webhooks": [
            {
                "name": "check.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["configmaps"],
                    }
                ],
                "clientConfig": {
                    "service": {"name": SERVICE, "namespace": namespace, "port": PORT},
                    "caBundle": base64.b64encode(ca_bundle).decode(),
                },
            }
        ],
    }


def _ask(client: ClusterClient, namespace: str) -> str:
    """What the API server says to a dry-run create that the webhook has to allow; empty when it passes."""
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "probe", "namespace": namespace},
    }
    try:
        client.create(config_map, ApplyMode.SERVER_DRY_RUN)
    except ClusterError as error:
        return error.found
    return ""


def _ask_until_called(client: ClusterClient, namespace: str, server: WebhookServer) -> str:
    """The API server takes up a new Service and a new configuration a moment after they were written."""
    while True:
        answer = _ask(client, namespace)
        if (answer or server.calls) and f'service "{SERVICE}" not found' not in answer:
            return answer


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_api_server_says_what_we_say(
    case: Served, client: ClusterClient, namespace: str, address: str, tmp_path: Path
) -> None:
    presented, ca_bundle = _files(case, namespace)
    key = private_key(LEAF).pkcs8_pem().get_secret_value()
    configuration = client.create(_configuration(namespace, ca_bundle))

    with WebhookServer(address, presented, key, tmp_path) as server:
        theirs = _ask_until_called(client, namespace, server)
    client.delete(ObjectRef("admissionregistration.k8s.io/v1", configuration["kind"], f"check-{namespace}"))

    ours = verify_for_api_server(presented, ca_bundle, f"{SERVICE}.{namespace}.svc", datetime.now(UTC))
    assert case.answer in ours.message
    assert ours.valid is (theirs == "")
    assert ours.message.partition(": current time")[0] in theirs


TARGET = WebhookTarget("mesh", ("manager", "webhook"))
PLAN = recommended_plan(TARGET)
KEY = key_of(KeySpec.ECDSA_P256)
REQUEST = build_request(KEY, PLAN)
EXPECTED = RequestExpectation(PLAN, KEY.spki_sha256)


@pytest.fixture(name="request_object")
def _request_object(client: ClusterClient) -> Iterator[Manifest]:
    """Our request as the API server made it."""
    name = request_name("oci-service-operator-controller", "mesh", REQUEST)
    yield client.create(build_cluster_request(name, REQUEST, PLAN, "oci.com/osok", {}))
    client.delete(ObjectRef(CSR_API, "CertificateSigningRequest", name))


def _expectation(made: Manifest) -> ClusterExpectation:
    return ClusterExpectation(
        EXPECTED, "oci.com/osok", made["spec"]["username"], made["spec"].get("uid") or ""
    )


def test_a_request_goes_through_its_whole_life(client: ClusterClient, request_object: Manifest) -> None:
    """R13 to R19 with the shapes that core builds."""
    expectation, shown = _expectation(request_object), show_request(request_object)
    authority = authority_at(TODAY)

    accepted = client.replace(approved(request_object, "approved by Ada", TODAY), "approval")
    certificate = sign_request(REQUEST, EXPECTED, authority, TODAY)
    done = client.replace(issued(accepted, certificate.pem), "status")

    assert check_cluster_request(request_object, expectation) == ()
    assert check_cluster_request(done, expectation, shown) == ()
    assert state_of(done) is RequestState.ISSUED
    assert check_issued(issued_certificate(done), EXPECTED, [authority.certificate], TODAY) == ()


def test_a_denied_request_stays_denied(client: ClusterClient, request_object: Manifest) -> None:
    refused = client.replace(denied(request_object, "not now", TODAY), "approval")

    assert state_of(refused) is RequestState.DENIED
    both = {**refused, "status": {"conditions": [*refused["status"]["conditions"], _approval()]}}
    with pytest.raises(ClusterRejectedError, match="mutually exclusive"):
        client.replace(both, "approval")


def test_the_api_server_refuses_the_documented_signer(client: ClusterClient) -> None:
    """R13."""
    made = build_cluster_request("documented", REQUEST, PLAN, "oci.com/osok", {})
    made["spec"]["signerName"] = "oci.com"

    with pytest.raises(ClusterRejectedError, match="must be a fully qualified domain and path of the form"):
        client.create(made, ApplyMode.SERVER_DRY_RUN)


def test_the_api_server_takes_a_certificate_of_anybody(
    client: ClusterClient, request_object: Manifest
) -> None:
    """It compares status.certificate with nothing: that is why R19 is checked here."""
    foreign: Certificate = make(replace(LEAF, key=ec_key(77), purposes=(SERVER_AUTH,)), ROOT)
    accepted = client.replace(approved(request_object, "yes", TODAY), "approval")

    done = client.replace(issued(accepted, foreign.pem), "status")

    refusals = check_issued(issued_certificate(done), EXPECTED, [make(ROOT)], TODAY)
    assert "FOREIGN_KEY" in {refusal.reason for refusal in refusals}


def _approval() -> dict[str, str]:
    return {"type": "Approved", "status": "True", "reason": "x", "message": "x"}
