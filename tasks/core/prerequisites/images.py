"""Whether a cluster will get its images: what a registry answered, as findings (R5, R6)."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.references import ImageReference

_RUNBOOK = "R6"


class Refusal(StrEnum):
    """Why a registry did not give an image."""

    DENIED = "DENIED"
    NOT_FOUND = "NOT_FOUND"
    OTHER_BYTES = "OTHER_BYTES"
    """It answered with bytes that have another digest than the one asked for."""


@dataclass(frozen=True)
class Given:
    """The registry has the image and gives it to these credentials."""

    digest: str
    credentials: str
    """In words, without anything secret."""


@dataclass(frozen=True)
class Refused:
    """The registry was reached and does not give the image."""

    refusal: Refusal
    reason: str


@dataclass(frozen=True)
class NotAsked:
    """No usable answer, which says nothing about what the nodes of the cluster get."""

    reason: str


ImageAnswer = Given | Refused | NotAsked


def check_image(reference: ImageReference, answer: ImageAnswer) -> Finding:
    """Decide about one image."""
    match answer:
        case Given(digest=digest) if reference.digest and digest != reference.digest:
            reason = f"it answered with {digest}"
            return _check(reference).failed(reason, _fix(Refusal.OTHER_BYTES, reference))
        case Given(digest=digest, credentials=credentials) if not reference.digest:
            evidence = f"{reference} is {digest} now, asked with {credentials}"
            pinned = f"{reference}@{digest}"
            return _check(reference, evidence).warned(
                "it is pinned by a tag only, which may stand for another image tomorrow",
                f"Use {pinned}.",
            )
        case Given(digest=digest, credentials=credentials):
            return _check(reference, f"{reference}: {digest} answers with {credentials}").passed()
        case Refused(refusal=refusal, reason=reason):
            return _check(reference).failed(reason, _fix(refusal, reference))
        case NotAsked(reason=reason):
            return _check(reference).unknown(
                f"no usable answer reached this worker, the cluster's nodes may get one: {reason}",
                f"Try it on a node: crictl pull {reference}; or let the worker reach {reference.registry}.",
            )


def check_no_images() -> Finding:
    """Nobody named an image, so that nothing is known about them."""
    check = Check(CheckGroup.REGISTRY, _RUNBOOK, "images", "no image was named")
    return check.warned(
        "not checked: whether the cluster gets its images shows only when it pulls them",
        "Fill in release as for install-fleet, or name the images under images, references.",
    )


def pull_secret_check(namespace: str, name: str) -> Check:
    """The check of the image pull Secret itself."""
    return Check(CheckGroup.REGISTRY, _RUNBOOK, "image pull Secret", f"Secret {namespace}/{name}")


def check_pull_secret_absent(namespace: str, name: str) -> Finding:
    """Without its Secret the kubelet pulls anonymously, and the images' own findings say what comes of it."""
    return pull_secret_check(namespace, name).warned(
        "it is absent, so the nodes pull without credentials",
        f"kubectl create secret docker-registry {name} -n {namespace} …, or leave pull_secret empty.",
    )


def _check(reference: ImageReference, evidence: str = "") -> Check:
    return Check(CheckGroup.REGISTRY, _RUNBOOK, f"image {reference}", evidence or f"{reference}")


def _fix(refusal: Refusal, reference: ImageReference) -> str:
    place = f"{reference.registry}/{reference.repository}"
    match refusal:
        case Refusal.DENIED:
            return (
                f"Put a login for {reference.registry} that may pull {place} into the image pull Secret, and "
                "name that Secret in images, pull_secret."
            )
        case Refusal.NOT_FOUND:
            return (
                "Correct the reference, or copy the image there. Some registries answer the same where the "
                f"credentials may not see {place}."
            )
        case Refusal.OTHER_BYTES:
            return f"Do not use what {place} serves; copy the image there again and find out who changed it."
