"""R5, R6: which credentials the nodes use for an image, and what a registry's answer means."""

import base64
import json
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tasks.core.errors import InputError
from tasks.core.manifests import Manifest
from tasks.core.prerequisites.findings import CheckGroup, Status
from tasks.core.prerequisites.images import (
    Given,
    ImageAnswer,
    NotAsked,
    Refusal,
    Refused,
    check_image,
    check_no_images,
    check_pull_secret_absent,
)
from tasks.core.prerequisites.pull_secrets import PullSecret, RegistryLogin, read_pull_secret
from tasks.core.prerequisites.settings import ClusterNeeds, ImageNeeds
from tasks.core.references import parse_reference

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
BY_TAG = "fra.ocir.io/acme/bundle:1.1.9"
BY_DIGEST = f"fra.ocir.io/acme/bundle@{DIGEST}"
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(document: object, kind: str = DOCKER_CONFIG, key: str = ".dockerconfigjson") -> Manifest:
    return {"kind": "Secret", "type": kind, "data": {key: encoded(json.dumps(document))}}


def logins(*places: str) -> PullSecret:
    """Each place's user bears its name."""
    auths = {place: {"auth": encoded(f"{place}:secret".replace("https://", ""))} for place in places}
    return read_pull_secret(secret({"auths": auths}), "osok/pull")


def users(pull_secret: PullSecret, image: str) -> list[str]:
    return [login.username for login in pull_secret.logins_for(parse_reference(image))]


@pytest.mark.parametrize(
    ("image", "answer", "status", "words"),
    [
        (BY_DIGEST, Given(DIGEST, "anonymous"), Status.PASS, ""),
        (BY_TAG, Given(DIGEST, "anonymous"), Status.WARN, "pinned by a tag only"),
        (BY_DIGEST, Given(OTHER, "anonymous"), Status.FAIL, OTHER),
        (BY_DIGEST, Refused(Refusal.DENIED, "HTTP 401"), Status.FAIL, "HTTP 401"),
        (BY_TAG, Refused(Refusal.NOT_FOUND, "HTTP 404"), Status.FAIL, "HTTP 404"),
        (BY_DIGEST, Refused(Refusal.OTHER_BYTES, f"found {OTHER}"), Status.FAIL, OTHER),
        (BY_DIGEST, NotAsked("ConnectTimeout"), Status.UNKNOWN, "the cluster's nodes may get one"),
    ],
)
def test_an_answer_has_one_meaning(image: str, answer: ImageAnswer, status: Status, words: str) -> None:
    finding = check_image(parse_reference(image), answer)

    assert (finding.status, finding.group, finding.runbook) == (status, CheckGroup.REGISTRY, "R6")
    assert finding.check == f"image {image}"
    assert words in finding.reason
    assert bool(finding.fix) is (status is not Status.PASS)


def test_evidence_is_the_digest_and_whose_credentials_got_it() -> None:
    finding = check_image(parse_reference(BY_TAG), Given(DIGEST, "the credentials of user 'puller'"))

    assert finding.evidence == f"{BY_TAG} is {DIGEST} now, asked with the credentials of user 'puller'"
    assert finding.fix == f"Use {BY_TAG}@{DIGEST}."


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal.DENIED, "Put a login for fra.ocir.io that may pull fra.ocir.io/acme/bundle"),
        (Refusal.NOT_FOUND, "Correct the reference, or copy the image there"),
        (Refusal.OTHER_BYTES, "Do not use what fra.ocir.io/acme/bundle serves"),
    ],
)
def test_every_refusal_has_its_own_way_out(refusal: Refusal, words: str) -> None:
    assert words in check_image(parse_reference(BY_TAG), Refused(refusal, "no")).fix


def test_nothing_to_check_and_an_absent_secret_are_said_and_stop_nobody() -> None:
    assert check_no_images().status is Status.WARN
    assert check_pull_secret_absent("osok", "pull").status is Status.WARN


@pytest.mark.parametrize(
    ("places", "image", "expected"),
    [
        (["fra.ocir.io"], BY_TAG, ["fra.ocir.io"]),
        (["https://fra.ocir.io/v2/"], BY_TAG, ["fra.ocir.io/v2/"]),
        (["fra.ocir.io", "fra.ocir.io/acme"], BY_TAG, ["fra.ocir.io/acme", "fra.ocir.io"]),
        (["fra.ocir.io/acme/bun"], BY_TAG, ["fra.ocir.io/acme/bun"]),
        (["fra.ocir.io/other"], BY_TAG, []),
        (["*.ocir.io"], BY_TAG, ["*.ocir.io"]),
        (["*.io"], BY_TAG, []),
        (["iad.ocir.io"], BY_TAG, []),
        (["fra.ocir.io:443"], BY_TAG, []),
        (["r.example.com"], "r.example.com:5000/a:1", []),
        (["r.example.com:5000"], "r.example.com:5000/a:1", ["r.example.com"]),
        (["https://index.docker.io/v1/"], "docker.io/library/a:1", ["index.docker.io/v1/"]),
        (["https://index.docker.io/v1/"], BY_TAG, []),
    ],
)
def test_logins_are_matched_as_the_kubelet_does(places: list[str], image: str, expected: list[str]) -> None:
    assert users(logins(*places), image) == expected


@pytest.mark.parametrize(
    "entry",
    [
        {"auth": encoded("joe:pass:word")},
        {"auth": encoded("joe:pass:word").rstrip("=")},
        {"username": "joe", "password": "pass:word"},
        {"auth": encoded("joe:pass:word"), "username": "other", "password": "other"},
    ],
)
def test_user_and_password_are_read_from_every_spelling(entry: dict[str, str]) -> None:
    expected = RegistryLogin("joe", SecretStr("pass:word"))

    config = read_pull_secret(secret({"auths": {"r.example.com": entry}}), "osok/pull")
    old = read_pull_secret(
        secret({"r.example.com": entry}, "kubernetes.io/dockercfg", ".dockercfg"), "osok/pull"
    )

    assert config.logins == old.logins == {"r.example.com": expected}
    assert "pass:word" not in f"{config!r}"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (secret({"auths": {}}, "Opaque"), "the type kubernetes.io/dockerconfigjson"),
        ({"type": DOCKER_CONFIG, "data": {}}, "JSON in base64"),
        ({"type": DOCKER_CONFIG, "data": {".dockerconfigjson": "hunter2!"}}, "JSON in base64"),
        ({"type": DOCKER_CONFIG, "data": {".dockerconfigjson": encoded("hunter2")}}, "JSON in base64"),
        (secret(["hunter2"]), "a JSON object"),
        (secret({"auths": ["hunter2"]}), "an object auths"),
        (secret({"auths": {"r.example.com": {"auth": encoded("hunter2")}}}), "user:password in base64"),
        (secret({"auths": {"r.example.com": {"auth": "hunter2!"}}}), "user:password in base64"),
    ],
)
def test_a_secret_that_the_kubelet_cannot_use_is_refused_without_quoting_it(
    broken: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_pull_secret(broken, "osok/pull")

    assert "hunter2" not in f"{caught.value}"


def test_images_are_not_checked_unless_they_are_named() -> None:
    assert ClusterNeeds().images == ImageNeeds(references=[], pull_secret="")


@pytest.mark.parametrize("reference", ["bundle", "fra.ocir.io/acme/bundle", "https://fra.ocir.io/a:1"])
def test_a_reference_that_leaves_something_open_is_refused_at_once(reference: str) -> None:
    with pytest.raises(ValidationError, match="Could not read an image reference"):
        ImageNeeds(references=[reference])
