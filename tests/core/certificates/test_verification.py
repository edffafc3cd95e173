"""Would kube-apiserver talk to this webhook? Our answer, and Go's own (runbook R12, R21, R22)."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.core.certificates.verification import Verdict, VerdictKind, verify_for_api_server
from tests.core.certificates.chains import CHAINS, DOCUMENTED, SUBTREES, Chain
from tests.core.certificates.goprogram import ask, needs_go
from tests.core.certificates.workshop import (
    ANY_PURPOSE,
    CLIENT_AUTH,
    DAY,
    HOST,
    HOSTS,
    INTERMEDIATE,
    LEAF,
    NOW,
    ROOT,
    SERVER_AUTH,
    Recipe,
    ec_key,
    make,
    pem,
)

# Go words these hints after the algorithm; the class is the same.
_OTHER_WORDS = {"RSA impostor", "Ed25519 impostor"}


def _answer(chain: Chain) -> Verdict:
    return verify_for_api_server(chain.presented, chain.roots, chain.host, chain.now)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.label)
def test_a_chain_gets_the_answer_of_its_class(chain: Chain) -> None:
    assert _answer(chain).kind is chain.expected


def test_the_documented_certificate_fails_as_measured() -> None:
    """R12: the API server calls `….svc`, the page's hosts have only `….svc.cluster.local`."""
    leaf = make(replace(LEAF, dns=DOCUMENTED), ROOT)

    verdict = verify_for_api_server(leaf.pem, pem(make(ROOT)), HOST, NOW)

    assert verdict.message == f"x509: certificate is valid for {DOCUMENTED[0]}, {DOCUMENTED[1]}, not {HOST}"
    assert verdict.blamed == leaf.sha256


def test_an_expired_ca_is_blamed_and_not_the_leaf() -> None:
    root = make(replace(ROOT, not_after=NOW - DAY))

    verdict = verify_for_api_server(pem(make(LEAF, ROOT)), root.pem, HOST, NOW)

    assert verdict.blamed == root.sha256
    assert verdict.message == (
        "x509: certificate has expired or is not yet valid: "
        "current time 2026-11-20T12:00:00Z is after 2026-11-19T12:00:00Z"
    )


@needs_go
def test_go_and_we_agree_on_every_case(go_program: Path) -> None:
    theirs = ask(go_program, "verify", [_question(chain) for chain in CHAINS])

    ours = [_answer(chain) for chain in CHAINS]

    assert len(CHAINS) > 60
    assert [(c.label, v.kind) for c, v in zip(CHAINS, ours, strict=True)] == [
        (c.label, answer["kind"]) for c, answer in zip(CHAINS, theirs, strict=True)
    ]


@needs_go
def test_our_words_are_gos_words(go_program: Path) -> None:
    spoken = [c for c in CHAINS if c.expected not in {VerdictKind.NO_ROOTS, VerdictKind.UNREADABLE}]
    theirs = ask(go_program, "verify", [_question(chain) for chain in spoken])

    ours = {chain.label: _answer(chain).message for chain in spoken if chain.label not in _OTHER_WORDS}

    assert ours == {
        chain.label: answer["message"]
        for chain, answer in zip(spoken, theirs, strict=True)
        if chain.label not in _OTHER_WORDS
    }


@needs_go
def test_go_and_we_agree_on_random_chains(go_program: Path) -> None:
    chains = [_random_chain(random.Random(seed)) for seed in range(300)]  # noqa: S311 - repeatable, no secret
    theirs = ask(go_program, "verify", [_question(chain) for chain in chains])

    ours = [(chain.label, _answer(chain).kind, _answer(chain).message) for chain in chains]

    assert len({kind for _, kind, _ in ours}) >= 6
    assert ours == [
        (chain.label, answer["kind"], answer["message"]) for chain, answer in zip(chains, theirs, strict=True)
    ]


def _question(chain: Chain) -> dict[str, Any]:
    return {
        "presented": chain.presented,
        "roots": chain.roots,
        "host": chain.host,
        "now": chain.now.isoformat(),
    }


def _random_chain(source: random.Random) -> Chain:
    """Two or three levels, each with at most a few flaws, and a caBundle with or without the right CA."""
    root = _flawed(ROOT, source, _CA_FLAWS)
    between = _flawed(INTERMEDIATE, source, _CA_FLAWS)
    issuer = source.choice([root, between])
    leaf = _flawed(LEAF, source, _LEAF_FLAWS)
    helpers = [make(between, root)] if issuer is between else []
    impostor = make(replace(source.choice([root, between]), key=ec_key(9)))
    roots = source.sample([make(root), impostor, make(replace(ROOT, name="Root C", key=ec_key(8)))], 3)
    presented = pem(make(leaf, issuer), *source.sample([*helpers, impostor], len(helpers)))
    kept = source.choice([3, 3, 3, 2])
    return Chain(f"{leaf}\n{between}\n{root}", presented, pem(*roots[:kept]), VerdictKind.VALID)


def _flawed(recipe: Recipe, source: random.Random, flaws: list[dict[str, Any]]) -> Recipe:
    for flaw in source.choices(flaws, k=source.choice([0, 0, 0, 1, 1, 2])):
        recipe = replace(recipe, **flaw)
    return recipe


_CA_FLAWS: list[dict[str, Any]] = [
    {"not_after": NOW - DAY},
    {"not_before": NOW + DAY},
    {"authority": False},
    {"authority": None},
    {"may_sign": False},
    {"path_length": 0},
    {"purposes": (CLIENT_AUTH,)},
    {"purposes": (SERVER_AUTH,)},
    {"permitted": SUBTREES},
    {"permitted": ("example.com",)},
    {"excluded": ("cluster.local",)},
    {"key_identifiers": False},
]
_LEAF_FLAWS: list[dict[str, Any]] = [
    {"not_after": NOW - DAY},
    {"dns": DOCUMENTED},
    {"dns": None},
    {"dns": (HOST, "*.example.com")},
    {"dns": (*HOSTS, "other.example.com")},
    {"purposes": (CLIENT_AUTH,)},
    {"purposes": (ANY_PURPOSE,)},
    {"key_identifiers": False},
]
