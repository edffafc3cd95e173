"""The endpoints' HTTP: where an answer ends, and the identity that is replaced in it."""

import pytest

from benchmarks.fleet_http import AnswerEnds, replace_in_stream

SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x01"


@pytest.mark.parametrize("answer", [SHORT, CHUNKED, EMPTY])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_ends_wherever_a_read_ends(answer: bytes, size: int) -> None:
    ends = AnswerEnds()

    for start in range(0, len(answer), size):
        ends.feed(answer[start : start + size])

    assert (ends.count, ends.reusable) == (1, True)


def test_half_an_answer_leaves_the_connection_in_use() -> None:
    ends = AnswerEnds()

    ends.feed(SHORT + SHORT[:-1])

    assert (ends.count, ends.reusable) == (1, False)


def test_a_connection_that_speaks_something_else_is_never_used_again() -> None:
    ends = AnswerEnds()

    ends.feed(UPGRADED)

    assert ends.upgraded
    assert not ends.reusable


def test_an_identity_is_replaced_by_one_of_the_same_length_only() -> None:
    assert replace_in_stream(b'{"uid":"aaaa"}', b"aaaa", b"bbbb") == b'{"uid":"bbbb"}'
    with pytest.raises(ValueError, match="different lengths"):
        replace_in_stream(b"", b"aaaa", b"bbb")
