"""Trust bundles: merged, ordered and judged (runbook R20; design decision 5)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.bundles import (
    BundleProblem,
    issuer_in,
    merge_bundles,
    plan_trust_steps,
    read_bundle,
    write_bundle,
)
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.olm import OlmAction, predict_olm
from tasks.core.certificates.pem import PemProblem
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.errors import CertificateError
from tests.core.certificates.secrets_made import manifest_of
from tests.core.certificates.workshop import (
    HOST,
    HOSTS,
    INTERMEDIATE,
    LEAF,
    NOW,
    ROOT,
    ec_key,
    make,
    pem,
)

OLD, NEW, THIRD = (
    make(replace(ROOT, name=name, key=ec_key(number)))
    for name, number in (("Old", 21), ("New", 22), ("Third", 23))
)
OLD_LEAF = make(LEAF, replace(ROOT, name="Old", key=ec_key(21)))
NEW_LEAF = make(replace(LEAF, key=ec_key(24)), replace(ROOT, name="New", key=ec_key(22)))
POOL = (OLD, NEW, THIRD)
KEY = b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"
DAMAGED = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"

BUNDLES = st.lists(st.sampled_from(POOL), max_size=6)


@given(BUNDLES, BUNDLES)
def test_a_merged_bundle_has_each_certificate_once(
    first: list[Certificate], behind: list[Certificate]
) -> None:
    merged = merge_bundles(first, behind)

    assert set(merged) == {*first, *behind}
    assert len(set(merged)) == len(merged)
    assert merged[: len(set(first))] == merge_bundles(first, [])


@given(BUNDLES)
def test_a_written_bundle_reads_back_without_a_problem(certificates: list[Certificate]) -> None:
    written = write_bundle(certificates)

    assert read_bundle(written).certificates == merge_bundles(certificates, [])
    assert read_bundle(written).problems == (() if certificates else (PemProblem.EMPTY,))


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (pem(OLD, NEW), ()),
        (b"", (PemProblem.EMPTY,)),
        (pem(OLD, OLD), (BundleProblem.DUPLICATE,)),
        (pem(OLD_LEAF), (BundleProblem.NOT_A_CA,)),
        (pem(OLD) + KEY, (BundleProblem.PRIVATE_KEY,)),
        (KEY.replace(b"PRIVATE KEY", b"PUBLIC KEY") + pem(OLD), (BundleProblem.OTHER_BLOCK,)),
        (DAMAGED + pem(OLD), (BundleProblem.UNREADABLE_CERTIFICATE,)),
        (pem(OLD).replace(b"\n", b"\r\n"), (PemProblem.WINDOWS_LINE_ENDS,)),
        (b"# old\n" + pem(OLD, OLD), (PemProblem.TEXT_OUTSIDE_BLOCKS, BundleProblem.DUPLICATE)),
    ],
)
def test_each_fault_of_a_bundle_is_named(
    content: bytes, problems: tuple[PemProblem | BundleProblem, ...]
) -> None:
    assert read_bundle(content).problems == problems


def test_the_issuer_is_found_by_its_signature_not_by_its_name() -> None:
    impostor = make(replace(ROOT, name="Old", key=ec_key(25)))

    assert issuer_in([impostor, OLD], OLD_LEAF) == OLD
    assert issuer_in([impostor], OLD_LEAF) is None


def test_while_the_old_leaf_serves_its_issuer_stands_first() -> None:
    steps = plan_trust_steps([THIRD, OLD], OLD_LEAF, NEW_LEAF, [NEW])

    assert read_certificates(steps.widened) == (OLD, THIRD, NEW)
    assert read_certificates(steps.switched) == (NEW, OLD, THIRD)
    assert read_certificates(steps.narrowed) == (NEW,)


def test_without_a_serving_leaf_the_present_order_stays() -> None:
    steps = plan_trust_steps([THIRD, OLD], None, NEW_LEAF, [NEW])

    assert read_certificates(steps.widened) == (THIRD, OLD, NEW)


def test_a_renewal_under_the_same_ca_changes_no_trust() -> None:
    again = make(replace(LEAF, key=ec_key(26)), replace(ROOT, name="Old", key=ec_key(21)))

    steps = plan_trust_steps([OLD], OLD_LEAF, again, [OLD])

    assert steps.widened == steps.switched == steps.narrowed == OLD.pem


def test_the_issuing_intermediate_comes_before_its_root() -> None:
    """OLM reads only the first block."""
    leaf = make(LEAF, INTERMEDIATE)
    root, between = make(ROOT), make(INTERMEDIATE, ROOT)

    steps = plan_trust_steps([], None, leaf, [root, between])

    assert read_certificates(steps.narrowed) == (between, root)


def test_a_bundle_without_the_issuer_is_refused() -> None:
    with pytest.raises(CertificateError, match="OLM knows no chain"):
        plan_trust_steps([OLD], OLD_LEAF, make(LEAF, INTERMEDIATE), [make(ROOT)])


def test_no_step_has_a_moment_that_the_api_server_or_olm_refuses() -> None:
    """At each step both the Secret's leaf and the other one, still in some process, are trusted."""
    steps = plan_trust_steps([OLD], OLD_LEAF, NEW_LEAF, [NEW])
    moments = [
        (OLD_LEAF, OLD_LEAF, OLD.pem),
        (OLD_LEAF, OLD_LEAF, steps.widened),
        (NEW_LEAF, OLD_LEAF, steps.widened),
        (NEW_LEAF, OLD_LEAF, steps.switched),
        (NEW_LEAF, NEW_LEAF, steps.switched),
        (NEW_LEAF, NEW_LEAF, steps.narrowed),
    ]

    served = [verify_for_api_server(leaf.pem, trust, HOST, NOW).valid for _, leaf, trust in moments]
    kept = [
        predict_olm(manifest_of(leaf.pem, trust), {}, HOSTS, "0.46.0", NOW).action
        for leaf, trust in ((OLD_LEAF, steps.widened), (NEW_LEAF, steps.switched), (NEW_LEAF, steps.narrowed))
    ]

    assert served == [True] * 6
    assert kept == [OlmAction.KEEP] * 3
