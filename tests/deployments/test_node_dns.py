"""The name server of the sandboxes."""

import struct

import pytest

from deployments.rehearsal.node.dns import answer_query, resolver_file

NAMES = {"web.shop.svc.cluster.local": "127.66.1.2"}


def _query(name: str, kind: int = 1, kind_class: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        struct.pack("!HHHHHH", 0xBEEF, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, kind_class)
    )


def _flags_and_count(answer: bytes) -> tuple[int, int]:
    _, flags, _, answers, _, _ = struct.unpack_from("!HHHHHH", answer)
    return flags & 0xF, answers


def test_answers_with_the_cluster_ip() -> None:
    answer = answer_query(_query("web.shop.svc.cluster.local"), NAMES.get)

    assert answer[:2] == b"\xbe\xef"
    assert _flags_and_count(answer) == (0, 1)
    assert answer[-4:] == bytes([127, 66, 1, 2])


def test_names_are_compared_without_case() -> None:
    assert _flags_and_count(answer_query(_query("WEB.Shop.svc.cluster.LOCAL"), NAMES.get)) == (0, 1)


def test_a_name_without_addresses_of_that_kind_exists_nevertheless() -> None:
    assert _flags_and_count(answer_query(_query("web.shop.svc.cluster.local", kind=28), NAMES.get)) == (0, 0)


@pytest.mark.parametrize("name", ["web.shop.svc", "other.shop.svc.cluster.local", "example.com"])
def test_an_unknown_name_does_not_exist(name: str) -> None:
    assert _flags_and_count(answer_query(_query(name), NAMES.get)) == (3, 0)


@pytest.mark.parametrize("query", [b"", b"\0" * 5, _query("a.b")[:-3], b"\xff" * 40])
def test_what_is_no_query_gets_no_answer(query: bytes) -> None:
    assert answer_query(query, NAMES.get) == b""


def test_pods_search_their_own_namespace_first() -> None:
    assert "search shop.svc.cluster.local svc.cluster.local cluster.local\n" in resolver_file("shop")
