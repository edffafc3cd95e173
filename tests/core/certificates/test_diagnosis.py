"""Every case of a broken certificate is named with its evidence and its repair (runbook R22)."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_requests import RequestState
from tasks.core.certificates.diagnosis import Answer, answer_runbook, diagnose
from tasks.core.certificates.findings import (
    CertificateCase as Case,
)
from tasks.core.certificates.findings import (
    CertificateFinding,
    CertificateState,
    CertManager,
    EndpointFact,
    Repair,
    Severity,
    WebhookFact,
)
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.olm import predict_olm
from tasks.core.certificates.secret_diagnosis import verdicts
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tests.core.certificates.chains import DOCUMENTED
from tests.core.certificates.secrets_made import MANAGED, manifest_of
from tests.core.certificates.workshop import (
    DAY,
    INTERMEDIATE,
    LEAF,
    MANAGER_SERVICE,
    NOW,
    ROOT,
    TARGET,
    WEBHOOK_SERVICE,
    Recipe,
    ec_key,
    make,
    pem,
    private_key,
)

OURS = replace(LEAF, dns=TARGET.dns_names)
CA = make(ROOT)
ISSUED = make(OURS, ROOT)
KEY = private_key(OURS).pkcs8_pem().get_secret_value()
OTHER_KEY = PrivateKey(ec_key(55)).pkcs8_pem().get_secret_value()
OTHER_CA = make(replace(ROOT, name="Other", key=ec_key(51)))
OLM_CA = replace(ROOT, name="olm-selfsigned-1f", key=ec_key(52))
BY_OLM = make(replace(OURS, key=ec_key(53)), OLM_CA)
OLM_KEY = PrivateKey(ec_key(53)).pkcs8_pem().get_secret_value()
THROUGH = make(OURS, INTERMEDIATE)
BETWEEN = make(INTERMEDIATE, ROOT)
VALIDATOR = "ValidatingWebhookConfiguration mesh-validator-abcde"
INJECTOR = "MutatingWebhookConfiguration proxy-injector-fghij"


def _state(
    certificate: bytes = ISSUED.pem,
    trust: bytes = CA.pem,
    key: bytes | None = KEY,
    **others: Any,  # noqa: ANN401 - any field of the state
) -> CertificateState:
    """A cluster in which everything follows from the Secret, unless the test says otherwise."""
    olm, status = others.pop("olm", "0.46.0"), others.pop("status", {})
    manifest = manifest_of(certificate, trust, key, others.pop("labels", MANAGED))
    bundle = others.pop("bundle", trust)
    return CertificateState(
        target=TARGET,
        now=NOW,
        secret=read_webhook_secret(manifest),
        prediction=predict_olm(manifest, status, TARGET.olm_hosts, olm, NOW),
        webhooks=others.pop(
            "webhooks",
            (
                WebhookFact(VALIDATOR, "mesh-validator", MANAGER_SERVICE, bundle),
                WebhookFact(INJECTOR, "proxy-injector", MANAGER_SERVICE, bundle),
            ),
        ),
        endpoints=others.pop("endpoints", _endpoints(certificate, certificate)),
        issued=others.pop("issued", ISSUED.pem),
        **others,
    )


def _endpoints(manager: bytes, webhook: bytes) -> tuple[EndpointFact, ...]:
    return (
        EndpointFact(MANAGER_SERVICE, "10.1.2.3:9443", manager),
        EndpointFact(WEBHOOK_SERVICE, "10.1.2.3:9443", webhook),
    )


def _brief(findings: tuple[CertificateFinding, ...]) -> list[tuple[Case, Severity, Repair]]:
    return [(finding.case, finding.severity, finding.repair) for finding in findings]


def _self(recipe: Recipe) -> Certificate:
    return make(recipe, ROOT)


B, W, N = Severity.BROKEN, Severity.WILL_BREAK, Severity.NOTE
NEW = Repair.ISSUE_NEW_CERTIFICATE
REPLACED = (Case.OLM_WILL_REPLACE, W, NEW)
EXPIRED = _self(replace(OURS, not_after=NOW - DAY))
EXPIRED_ROOT = replace(ROOT, not_after=NOW - DAY)
BY_EXPIRED = make(OURS, EXPIRED_ROOT)
TWO_NAMES = _self(replace(OURS, dns=DOCUMENTED))
NO_SHORT_NAME = _self(replace(OURS, dns=TARGET.dns_names[1:]))
ONE_STALE = (
    WebhookFact(VALIDATOR, "mesh-validator", MANAGER_SERVICE, CA.pem),
    WebhookFact(INJECTOR, "proxy-injector", MANAGER_SERVICE, OTHER_CA.pem),
)
OVERLAPPING = (WebhookFact(VALIDATOR, "mesh-validator", MANAGER_SERVICE, pem(OTHER_CA, CA)),)
REISSUED = _self(replace(OURS, key=ec_key(56)))

CASES: dict[str, tuple[CertificateState, list[tuple[Case, Severity, Repair]]]] = {
    "all well": (_state(), []),
    "all well during an overlap": (_state(trust=pem(CA, OTHER_CA)), []),
    "all well, request issued": (_state(request=RequestState.ISSUED), []),
    "request waits": (
        _state(request=RequestState.PENDING),
        [(Case.REQUEST_UNDECIDED, N, Repair.ASK_FOR_DECISION)],
    ),
    "request approved, nobody signs": (
        _state(BY_OLM.pem, pem(make(OLM_CA)), OLM_KEY, issued=b"", request=RequestState.APPROVED),
        [(Case.REQUEST_NOT_SIGNED, B, Repair.SIGN_REQUEST)],
    ),
    "request denied": (_state(request=RequestState.DENIED), [(Case.REQUEST_REFUSED, N, NEW)]),
    "request failed": (_state(request=RequestState.FAILED), [(Case.REQUEST_REFUSED, N, NEW)]),
    "Secret overwritten by OLM": (
        _state(BY_OLM.pem, pem(make(OLM_CA)), OLM_KEY),
        [(Case.SECRET_OVERWRITTEN, W, NEW)],
    ),
    "Secret overwritten by OLM, caBundles not": (
        _state(BY_OLM.pem, pem(make(OLM_CA)), OLM_KEY, bundle=CA.pem),
        [
            (Case.SECRET_OVERWRITTEN, B, NEW),
            (Case.CA_BUNDLE_STALE, B, Repair.WRITE_CA_BUNDLES),
            (Case.CA_BUNDLE_STALE, B, Repair.WRITE_CA_BUNDLES),
        ],
    ),
    "page (b): olmCAKey is server.crt": (
        _state(trust=ISSUED.pem),
        [(Case.WRONG_CA, W, Repair.WRITE_TRUST)],
    ),
    "another CA in olmCAKey": (
        _state(trust=OTHER_CA.pem),
        [(Case.WRONG_CA, B, Repair.WRITE_TRUST), (Case.OLM_WILL_REPLACE, W, Repair.WRITE_TRUST)],
    ),
    "no olmCAKey content": (
        _state(trust=b""),
        [(Case.WRONG_CA, B, Repair.WRITE_TRUST), (Case.OLM_WILL_REPLACE, W, Repair.WRITE_TRUST)],
    ),
    "issuing CA second": (
        _state(trust=pem(OTHER_CA, CA)),
        [(Case.CA_NOT_FIRST, W, Repair.WRITE_TRUST), (Case.OLM_WILL_REPLACE, W, Repair.WRITE_TRUST)],
    ),
    "issuing CA second, OLM 0.20.0": (_state(trust=pem(OTHER_CA, CA), olm="0.20.0"), []),
    "intermediate in tls.crt": (
        _state(pem(THROUGH, BETWEEN), issued=THROUGH.pem),
        [
            (Case.INTERMEDIATE_MISPLACED, W, Repair.WRITE_TRUST),
            (Case.OLM_WILL_REPLACE, W, Repair.WRITE_TRUST),
        ],
    ),
    "intermediate nowhere": (
        _state(THROUGH.pem, issued=THROUGH.pem),
        [(Case.WRONG_CA, B, Repair.WRITE_TRUST), (Case.OLM_WILL_REPLACE, W, Repair.WRITE_TRUST)],
    ),
    "page (c): another key": (_state(key=OTHER_KEY), [(Case.KEY_MISMATCH, B, NEW)]),
    "page (d): an older certificate, the key is the new one": (
        _state(REISSUED.pem),
        [
            (Case.WRONG_CERTIFICATE, W, Repair.PUBLISH_ISSUED),
            (Case.KEY_MISMATCH, B, Repair.PUBLISH_ISSUED),
        ],
    ),
    "page (d): the CA's certificate": (
        _state(CA.pem, endpoints=_endpoints(ISSUED.pem, ISSUED.pem)),
        [
            (Case.WRONG_CERTIFICATE, B, Repair.PUBLISH_ISSUED),
            (Case.KEY_MISMATCH, B, Repair.PUBLISH_ISSUED),
            (Case.NAMES_MISSING, B, NEW),
            REPLACED,
            (Case.ENDPOINT_STALE, W, Repair.RESTART_OPERATOR),
            (Case.ENDPOINT_STALE, W, Repair.RESTART_OPERATOR),
        ],
    ),
    "page (d): ca-key.pem": (
        _state(OTHER_KEY, endpoints=()),
        [(Case.CERTIFICATE_UNREADABLE, B, Repair.PUBLISH_ISSUED), REPLACED],
    ),
    "no key": (_state(key=None), [(Case.KEY_UNREADABLE, B, NEW)]),
    "the page's names": (
        _state(TWO_NAMES.pem, issued=TWO_NAMES.pem),
        [(Case.NAMES_MISSING, B, NEW), REPLACED],
    ),
    "the page's names, OLM 0.20.0": (
        _state(TWO_NAMES.pem, issued=TWO_NAMES.pem, olm="0.20.0"),
        [(Case.NAMES_MISSING, B, NEW)],
    ),
    "a name that only OLM wants": (
        _state(NO_SHORT_NAME.pem, issued=NO_SHORT_NAME.pem),
        [(Case.NAMES_MISSING, W, NEW), REPLACED],
    ),
    "expired leaf": (
        _state(EXPIRED.pem, issued=EXPIRED.pem),
        [(Case.LEAF_NOT_CURRENT, B, NEW), REPLACED],
    ),
    "expired leaf, OLM 0.20.0": (
        _state(EXPIRED.pem, issued=EXPIRED.pem, olm="0.20.0"),
        [(Case.LEAF_NOT_CURRENT, B, NEW)],
    ),
    "expired CA": (
        _state(BY_EXPIRED.pem, pem(make(EXPIRED_ROOT)), issued=BY_EXPIRED.pem),
        [(Case.CHAIN_NOT_CURRENT, B, Repair.REPLACE_CA), (Case.OLM_WILL_REPLACE, W, Repair.REPLACE_CA)],
    ),
    "label lost": (_state(labels={}), [(Case.OLM_WILL_REPLACE, W, Repair.RESTORE_LABEL)]),
    "OLM 0.20.0 rotates": (
        _state(olm="0.20.0", status={"certsRotateAt": "2026-11-19T00:00:00Z"}),
        [REPLACED],
    ),
    "Windows line ends": (
        _state(trust=CA.pem.replace(b"\n", b"\r\n")),
        [(Case.PEM_FAULT, N, Repair.NORMALISE_PEM)],
    ),
    "garbage around it": (
        _state(ISSUED.pem + b"ok\n", endpoints=_endpoints(ISSUED.pem, ISSUED.pem)),
        [(Case.PEM_FAULT, N, Repair.NORMALISE_PEM)],
    ),
    "damaged block in front": (
        _state(trust=CA.pem.replace(b"MII", b"!II", 1) + CA.pem),
        [(Case.PEM_FAULT, W, Repair.NORMALISE_PEM)],
    ),
    "a private key in olmCAKey": (
        _state(trust=CA.pem + OTHER_KEY, bundle=CA.pem),
        [
            (Case.PRIVATE_KEY_EXPOSED, B, Repair.REPLACE_CA),
            (Case.CA_BUNDLE_STALE, W, Repair.WRITE_CA_BUNDLES),
            (Case.CA_BUNDLE_STALE, W, Repair.WRITE_CA_BUNDLES),
        ],
    ),
    "one caBundle changed": (
        _state(webhooks=ONE_STALE),
        [(Case.CA_BUNDLE_STALE, B, Repair.WRITE_CA_BUNDLES)],
    ),
    "a caBundle with more than olmCAKey": (
        _state(webhooks=OVERLAPPING),
        [(Case.CA_BUNDLE_STALE, W, Repair.WRITE_CA_BUNDLES)],
    ),
    "a caBundle with garbage": (
        _state(
            bundle=b"\xef\xbb\xbf" + CA.pem,
            webhooks=(WebhookFact(VALIDATOR, "m", MANAGER_SERVICE, b"\xef\xbb\xbf" + CA.pem),),
        ),
        [(Case.CA_BUNDLE_STALE, B, Repair.WRITE_CA_BUNDLES), (Case.PEM_FAULT, W, Repair.NORMALISE_PEM)],
    ),
    "a private key in a caBundle": (
        _state(webhooks=(WebhookFact(VALIDATOR, "m", MANAGER_SERVICE, CA.pem + OTHER_KEY),)),
        [
            (Case.PRIVATE_KEY_EXPOSED, B, Repair.REPLACE_CA),
            (Case.CA_BUNDLE_STALE, W, Repair.WRITE_CA_BUNDLES),
        ],
    ),
    "endpoint serves the old one": (
        _state(endpoints=_endpoints(BY_OLM.pem, BY_OLM.pem)),
        [
            (Case.ENDPOINT_STALE, B, Repair.RESTART_OPERATOR),
            (Case.ENDPOINT_STALE, W, Repair.RESTART_OPERATOR),
        ],
    ),
    "two Services disagree": (
        _state(endpoints=_endpoints(ISSUED.pem, REISSUED.pem)),
        [
            (Case.ENDPOINT_STALE, W, Repair.RESTART_OPERATOR),
            (Case.SERVICES_DISAGREE, W, Repair.RESTART_OPERATOR),
        ],
    ),
    "endpoint silent": (
        _state(endpoints=(EndpointFact(MANAGER_SERVICE, "10.1.2.3:9443", b"", "connection refused"),)),
        [(Case.ENDPOINT_SILENT, B, Repair.CHECK_OPERATOR)],
    ),
    "cert-manager annotation without cert-manager": (
        _state(annotated={"CustomResourceDefinition meshes": "ns/serving-cert"}),
        [(Case.CERT_MANAGER_CLAIM, N, Repair.REMOVE_ANNOTATION)],
    ),
    "cert-manager fights": (
        _state(annotated={VALIDATOR: "ns/serving-cert"}, cert_manager=CertManager.PRESENT),
        [(Case.CERT_MANAGER_CLAIM, W, Repair.REMOVE_ANNOTATION)],
    ),
    "constraints that nobody else explains": (
        _state(
            make(OURS, replace(ROOT, permitted=("example.com",))).pem,
            pem(make(replace(ROOT, permitted=("example.com",)))),
            issued=b"",
            olm="0.20.0",
        ),
        [(Case.API_SERVER_REFUSES, B, NEW), (Case.API_SERVER_REFUSES, B, NEW)],
    ),
}


@pytest.mark.parametrize(("state", "expected"), CASES.values(), ids=CASES)
def test_a_state_has_its_findings(
    state: CertificateState, expected: list[tuple[Case, Severity, Repair]]
) -> None:
    found = _brief(diagnose(state))

    assert sorted(found) == sorted(expected)


def test_every_case_is_covered_here() -> None:
    covered = {case for _, findings in CASES.values() for case, _, _ in findings}

    assert covered == set(Case) - {Case.SECRET_MISSING}


def test_without_a_secret_only_a_new_certificate_helps() -> None:
    gone = replace(_state(), secret=None, prediction=predict_olm(None, {}, TARGET.olm_hosts, "0.46.0", NOW))

    findings = diagnose(replace(gone, endpoints=()))

    assert _brief(findings) == [(Case.SECRET_MISSING, B, NEW)]
    assert findings[0].subject == "namespace oci-service-operator-system"


def test_the_worst_comes_first_and_causes_before_effects() -> None:
    findings = diagnose(CASES["Secret overwritten by OLM, caBundles not"][0])

    assert [finding.case for finding in findings] == [
        Case.SECRET_OVERWRITTEN,
        Case.CA_BUNDLE_STALE,
        Case.CA_BUNDLE_STALE,
    ]
    assert INJECTOR in findings[1].subject


def test_a_stale_ca_bundle_shows_what_the_api_server_says() -> None:
    """R22: the page's symptom is the evidence."""
    finding = diagnose(CASES["one caBundle changed"][0])[0]

    assert finding.subject == f"{INJECTOR}, proxy-injector, caBundle"
    assert "x509: certificate signed by unknown authority" in finding.found
    assert "`CN=Other`" in finding.found


def test_an_expired_leaf_shows_its_date() -> None:
    finding = diagnose(CASES["expired leaf"][0])[0]

    assert finding.found.endswith("current time 2026-11-20T12:00:00Z is after 2026-11-19T12:00:00Z")


def test_the_pages_own_mistake_is_named() -> None:
    """Go accepts it, since the leaf is then its own trust anchor; the next certificate breaks it."""
    finding = diagnose(CASES["page (b): olmCAKey is server.crt"][0])[0]

    assert finding.found == f"the server's own certificate {ISSUED.serial}"
    assert finding.expected == "the certificate of the issuing CA `CN=Root A` first"


def test_without_a_secret_there_is_nothing_to_verify() -> None:
    assert verdicts(replace(_state(), secret=None)) == ()


def test_safe_repairs_need_no_decision() -> None:
    assert {repair for repair in Repair if repair.safe} == {
        Repair.PUBLISH_ISSUED,
        Repair.WRITE_TRUST,
        Repair.WRITE_CA_BUNDLES,
        Repair.RESTORE_LABEL,
        Repair.NORMALISE_PEM,
    }


@pytest.mark.parametrize("state", [state for state, _ in CASES.values()], ids=CASES)
def test_no_finding_has_key_material(state: CertificateState) -> None:
    written = f"{diagnose(state)} {state}".encode() + pickle.dumps(state)

    assert not any(key.splitlines()[1] in written for key in (KEY, OTHER_KEY, OLM_KEY))


def _answers(label: str) -> dict[str, tuple[Answer, Repair | None]]:
    return {one.letter: (one.answer, one.repair) for one in answer_runbook(CASES[label][0])}


YES, NO, UNKNOWN = (Answer.YES, None), Answer.NO, (Answer.UNKNOWN, None)
ANSWERS: dict[str, dict[str, tuple[Answer, Repair | None]]] = {
    "all well, request issued": {"a": YES, "b": YES, "c": YES, "d": YES},
    "all well": {"a": UNKNOWN, "b": YES, "c": YES, "d": YES},
    "request waits": {"a": (NO, Repair.ASK_FOR_DECISION), "b": YES, "c": YES, "d": YES},
    "another CA in olmCAKey": {"a": UNKNOWN, "b": (NO, Repair.WRITE_TRUST), "c": YES, "d": YES},
    "page (c): another key": {"a": UNKNOWN, "b": YES, "c": (NO, NEW), "d": YES},
    "page (d): an older certificate, the key is the new one": {
        "a": UNKNOWN,
        "b": YES,
        "c": (NO, Repair.PUBLISH_ISSUED),
        "d": (NO, Repair.PUBLISH_ISSUED),
    },
    "page (d): ca-key.pem": {"a": UNKNOWN, "b": YES, "c": YES, "d": (NO, Repair.PUBLISH_ISSUED)},
    "request approved, nobody signs": {"a": (NO, Repair.SIGN_REQUEST), "b": YES, "c": YES, "d": UNKNOWN},
}


@pytest.mark.parametrize(("label", "answers"), ANSWERS.items(), ids=ANSWERS)
def test_the_pages_four_questions_are_answered(
    label: str, answers: dict[str, tuple[Answer, Repair | None]]
) -> None:
    assert _answers(label) == answers


def test_without_a_secret_only_the_request_is_known() -> None:
    gone = replace(_state(), secret=None, prediction=predict_olm(None, {}, TARGET.olm_hosts, "0.46.0", NOW))

    answers = answer_runbook(gone)

    assert [one.answer for one in answers] == [Answer.UNKNOWN] * 4
    assert answers[1].evidence == "there is no Secret"
