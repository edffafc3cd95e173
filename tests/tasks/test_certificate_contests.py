"""Who writes the caBundles that a rollout writes (R20, R21)."""

from tasks.certificates.contests import Contest
from tasks.certificates.webhooks import RegisteredBundle
from tasks.core.manifests import ObjectRef

REF = ObjectRef("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "mesh-validator-x7")


def bundle(name: str, content: bytes, writer: str) -> RegisteredBundle:
    return RegisteredBundle(REF, 0, name, "webhook", content, writer=writer)


def test_a_first_write_is_no_contest() -> None:
    contest = Contest()

    contest.note([bundle("mesh", b"old", "olm")], b"new")
    contest.note([bundle("mesh", b"new", "osok-fleet")], b"new")

    assert contest.text() == ""


def test_the_webhook_that_was_undone_most_often_is_named_with_its_last_writer() -> None:
    contest = Contest()

    for writer in ("olm", "kubectl-edit", "ca-injector"):
        contest.note([bundle("mesh", b"old", writer), bundle("binding", b"old", "olm")], b"new")
    contest.note([bundle("mesh", b"old", "ca-injector"), bundle("binding", b"new", "osok-fleet")], b"new")

    assert contest.text() == (
        "the caBundle of mesh in ValidatingWebhookConfiguration mesh-validator-x7 written to other bytes "
        "3 times meanwhile, last by ca-injector"
    )


def test_a_writer_without_a_name_is_said_to_have_none() -> None:
    contest = Contest()

    contest.note([bundle("mesh", b"old", "")], b"new")
    contest.note([bundle("mesh", b"old", "")], b"new")

    assert contest.text().endswith("1 times meanwhile, last by a manager without a name")
