"""OLM's keep-or-replace rule: the measured table, the edges of its source, Go's own answer (decision 5)."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.core.certificates.olm import (
    OlmAction,
    OlmMoment,
    OlmReason,
    OlmRule,
    OlmWarning,
    predict_olm,
    rotation_date,
    rule_of,
    secret_entry,
)
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest
from tests.core.certificates.goprogram import ask, needs_go
from tests.core.certificates.secrets_made import manifest_of
from tests.core.certificates.workshop import (
    CLIENT_AUTH,
    DAY,
    HOSTS,
    INTERMEDIATE,
    LEAF,
    NAMESPACE,
    NOW,
    ROOT,
    ec_key,
    make,
    pem,
)

SECOND = timedelta(seconds=1)
OWN = pem(make(ROOT))
LEAF_PEM = pem(make(LEAF, ROOT))
OTHER = pem(make(replace(ROOT, name="Other", key=ec_key(31))))
BETWEEN = pem(make(INTERMEDIATE, ROOT))
THROUGH = pem(make(LEAF, INTERMEDIATE))
DOCUMENTED = pem(
    make(
        replace(
            LEAF, dns=(f"oci-service-operator-controller-manager-service.{NAMESPACE}.svc.cluster.local",)
        ),
        ROOT,
    )
)
KEY_BLOCK = b"-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n"
UNLABELLED = manifest_of(LEAF_PEM, OWN, labels={})
RENAMED = manifest_of(LEAF_PEM, OWN, labels={"olm.managed": "yes"})


def _ending(leaf: datetime | None = None, root: datetime | None = None) -> Manifest:
    authority = replace(ROOT, not_after=root) if root else ROOT
    server = replace(LEAF, not_after=leaf) if leaf else LEAF
    return manifest_of(pem(make(server, authority)), pem(make(authority)))


# Rows 1-7 are the table that was measured with OLM's own code; the others are the edges of its source.
NEWEST = {
    "the page's certificate": (manifest_of(DOCUMENTED, OWN), OlmReason.NOT_VERIFIED),
    "three names, OLM's old CA left": (manifest_of(LEAF_PEM, OTHER), OlmReason.NOT_VERIFIED),
    "three names, own CA": (manifest_of(LEAF_PEM, OWN), OlmReason.REUSED),
    "own CA first, another behind": (manifest_of(LEAF_PEM, OWN + OTHER), OlmReason.REUSED),
    "another CA first": (manifest_of(LEAF_PEM, OTHER + OWN), OlmReason.NOT_VERIFIED),
    "intermediate, root in olmCAKey": (manifest_of(THROUGH + BETWEEN, OWN), OlmReason.NOT_VERIFIED),
    "no label": (UNLABELLED, OlmReason.LABEL_MISSING),
    "another label": (RENAMED, OlmReason.LABEL_MISSING),
    "no Secret": (None, OlmReason.SECRET_MISSING),
    "intermediate first in olmCAKey": (manifest_of(THROUGH, BETWEEN + OWN), OlmReason.REUSED),
    "the page's olmCAKey = server.crt": (manifest_of(LEAF_PEM, LEAF_PEM), OlmReason.REUSED),
    "no olmCAKey": (manifest_of(LEAF_PEM, None), OlmReason.CA_KEY_MISSING),
    "empty olmCAKey": (manifest_of(LEAF_PEM, b""), OlmReason.CA_MALFORMED),
    "no tls.crt": (manifest_of(None, OWN), OlmReason.CERTIFICATE_MISSING),
    "damaged tls.crt": (manifest_of(b"server.crt", OWN), OlmReason.CERTIFICATE_MALFORMED),
    "a key in front of the CA": (manifest_of(LEAF_PEM, KEY_BLOCK + OWN), OlmReason.CA_MALFORMED),
    "the page's tls.crt = ca-key.pem": (manifest_of(KEY_BLOCK, OWN), OlmReason.CERTIFICATE_MALFORMED),
    "text in front of the CA": (manifest_of(LEAF_PEM, b"issuer=x\n" + OWN), OlmReason.REUSED),
    "Windows line ends": (manifest_of(LEAF_PEM.replace(b"\n", b"\r\n"), OWN), OlmReason.REUSED),
    "another type": (manifest_of(LEAF_PEM, OWN, kind="Opaque"), OlmReason.REUSED),
    "a foreign key beside it": (manifest_of(LEAF_PEM, OWN, KEY_BLOCK), OlmReason.REUSED),
    "ends in 24 hours": (_ending(leaf=NOW + DAY), OlmReason.REUSED),
    "ends in a second less": (_ending(leaf=NOW + DAY - SECOND), OlmReason.CERTIFICATE_NOT_FRESH),
    "ends now": (_ending(leaf=NOW), OlmReason.CERTIFICATE_NOT_FRESH),
    "CA ends in 24 hours": (_ending(root=NOW + DAY), OlmReason.REUSED),
    "CA ends in a second less": (_ending(root=NOW + DAY - SECOND), OlmReason.CA_NOT_FRESH),
    "begins now": (
        manifest_of(pem(make(replace(LEAF, not_before=NOW), ROOT)), OWN),
        OlmReason.CERTIFICATE_NOT_FRESH,
    ),
    "for clients": (
        manifest_of(pem(make(replace(LEAF, purposes=(CLIENT_AUTH,)), ROOT)), OWN),
        OlmReason.NOT_VERIFIED,
    ),
    "two of three names": (
        manifest_of(pem(make(replace(LEAF, dns=HOSTS[:2]), ROOT)), OWN),
        OlmReason.NOT_VERIFIED,
    ),
}


@pytest.mark.parametrize(("secret", "reason"), NEWEST.values(), ids=NEWEST)
@pytest.mark.parametrize("version", ["0.29.0", "v0.46.0"])
def test_olm_from_0_29_judges_the_certificates(
    secret: Manifest | None, reason: OlmReason, version: str
) -> None:
    prediction = predict_olm(secret, {}, HOSTS, version, NOW)

    kept = reason is OlmReason.REUSED
    assert prediction.reason is reason
    assert prediction.action is (OlmAction.KEEP if kept else OlmAction.REPLACE)
    assert prediction.moment is (OlmMoment.NEVER if kept else OlmMoment.NEXT_SYNC)


PAST = {"certsRotateAt": "2026-11-20T11:59:59Z"}
FUTURE = {"certsRotateAt": "2026-11-20T12:00:01Z"}
OLDEST: dict[str, tuple[Manifest | None, dict[str, str], OlmReason, OlmMoment]] = {
    "the page's certificate": (manifest_of(DOCUMENTED, OWN), FUTURE, OlmReason.REUSED, OlmMoment.NEVER),
    "no status yet": (manifest_of(LEAF_PEM, OWN), {}, OlmReason.REUSED, OlmMoment.NEVER),
    "an expired certificate": (_ending(leaf=NOW - DAY), FUTURE, OlmReason.REUSED, OlmMoment.NEVER),
    "a damaged certificate": (manifest_of(b"x", b"y"), FUTURE, OlmReason.REUSED, OlmMoment.NEVER),
    "its date has passed": (manifest_of(LEAF_PEM, OWN), PAST, OlmReason.ROTATION_DUE, OlmMoment.NEXT_SYNC),
    "no olmCAKey": (
        manifest_of(LEAF_PEM, None),
        FUTURE,
        OlmReason.CA_KEY_MISSING,
        OlmMoment.NEXT_INSTALL,
    ),
    "no label": (UNLABELLED, FUTURE, OlmReason.LABEL_MISSING, OlmMoment.NEXT_INSTALL),
    "no Secret": (None, FUTURE, OlmReason.SECRET_MISSING, OlmMoment.NEXT_INSTALL),
}


@pytest.mark.parametrize(("secret", "status", "reason", "moment"), OLDEST.values(), ids=OLDEST)
@pytest.mark.parametrize("version", ["0.20.0", "v0.28.0"])
def test_olm_0_20_looks_at_its_own_date_alone(
    secret: Manifest | None, status: dict[str, str], reason: OlmReason, moment: OlmMoment, version: str
) -> None:
    prediction = predict_olm(secret, status, HOSTS, version, NOW)

    assert (prediction.reason, prediction.moment) == (reason, moment)


def test_what_is_kept_is_kept_until_a_day_before_the_first_end() -> None:
    prediction = predict_olm(_ending(root=NOW + 10 * DAY), PAST, HOSTS, "0.46.0", NOW)

    assert prediction.keeps_until == NOW + 9 * DAY


def test_olm_0_20_keeps_until_its_date() -> None:
    prediction = predict_olm(manifest_of(LEAF_PEM, OWN), FUTURE, HOSTS, "0.20.0", NOW)

    assert prediction.keeps_until == NOW + SECOND
    assert OlmWarning.DATES_NOT_CHECKED in prediction.warnings


def test_a_type_that_olm_could_never_update_is_warned_about() -> None:
    prediction = predict_olm(NEWEST["another type"][0], {}, HOSTS, "0.46.0", NOW)

    assert prediction.warnings == (OlmWarning.TYPE_NOT_TLS,)


def test_the_message_says_what_go_would_say() -> None:
    prediction = predict_olm(NEWEST["the page's certificate"][0], {}, HOSTS, "0.46.0", NOW)

    assert f"for {HOSTS[0]} under `CN=Root A`: x509: certificate is valid for" in prediction.message


@pytest.mark.parametrize(
    ("version", "rule"),
    [
        ("0.20.0", OlmRule.ROTATION_DATE),
        ("v0.28.0", OlmRule.ROTATION_DATE),
        ("0.29.0", OlmRule.VERIFICATION),
        ("1.0.0", OlmRule.VERIFICATION),
    ],
)
def test_the_rule_changed_with_0_29(version: str, rule: OlmRule) -> None:
    assert rule_of(version) is rule


@pytest.mark.parametrize("version", ["0.19.1", "latest", ""])
def test_a_version_whose_rule_is_not_known_is_refused(version: str) -> None:
    with pytest.raises(CertificateError, match="predict what OLM does"):
        rule_of(version)


def test_no_rotation_date_is_no_date() -> None:
    assert rotation_date({}) is None
    assert rotation_date({"certsRotateAt": None}) is None


def test_an_entry_that_is_no_base64_is_not_guessed_at() -> None:
    with pytest.raises(CertificateError, match="base64"):
        secret_entry({"data": {"tls.crt": "***"}}, "tls.crt")


def _question(secret: Manifest) -> dict[str, Any]:
    return {
        "certificate": secret_entry(secret, "tls.crt"),
        "authority": secret_entry(secret, "olmCAKey"),
        "hosts": HOSTS,
        "now": NOW.isoformat(),
    }


@needs_go
def test_go_gives_the_same_answer_for_the_table(go_program: Path) -> None:
    labelled = {
        label: secret
        for label, (secret, _) in NEWEST.items()
        if secret is not None and secret not in (UNLABELLED, RENAMED)
    }

    theirs = ask(go_program, "secret", [_question(secret) for secret in labelled.values()])

    assert dict(zip(labelled, theirs, strict=True)) == {
        label: predict_olm(secret, {}, HOSTS, "0.46.0", NOW).action is OlmAction.KEEP
        for label, secret in labelled.items()
    }


@needs_go
def test_go_gives_the_same_answer_for_random_secrets(go_program: Path) -> None:
    source = random.Random(11)  # noqa: S311 - repeatable, no secret
    served = [LEAF_PEM, THROUGH, DOCUMENTED, KEY_BLOCK, b"x\n", LEAF_PEM.replace(b"MII", b"!II", 1)]
    trust = [OWN, OTHER, BETWEEN, LEAF_PEM, KEY_BLOCK, b"x\n", OWN.replace(b"MII", b"!II", 1)]
    secrets = [
        manifest_of(
            b"".join(source.choices(served, k=source.choice([1, 1, 2]))), b"".join(source.choices(trust, k=2))
        )
        for _ in range(200)
    ]

    theirs = ask(go_program, "secret", [_question(secret) for secret in secrets])

    ours = [predict_olm(secret, {}, HOSTS, "0.46.0", NOW).action is OlmAction.KEEP for secret in secrets]
    assert ours == theirs
    assert 5 < sum(ours) < 195
