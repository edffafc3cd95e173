"""Kleene's three-valued logic, which keeps an unknown from becoming a pass."""

import pytest

from tasks.core.iam.truth import NO, YES, Answer, Truth, every, negate, some, unknown

MAYBE = unknown("the tag")


@pytest.mark.parametrize(
    ("answers", "all_of_them", "one_of_them"),
    [
        ([], Truth.YES, Truth.NO),
        ([YES, YES], Truth.YES, Truth.YES),
        ([YES, NO], Truth.NO, Truth.YES),
        ([YES, MAYBE], Truth.UNKNOWN, Truth.YES),
        ([NO, MAYBE], Truth.NO, Truth.UNKNOWN),
        ([MAYBE, MAYBE], Truth.UNKNOWN, Truth.UNKNOWN),
    ],
)
def test_an_unknown_part_leaves_the_whole_unknown_unless_another_part_decides(
    answers: list[Answer], all_of_them: Truth, one_of_them: Truth
) -> None:
    assert (every(answers).truth, some(answers).truth) == (all_of_them, one_of_them)


def test_an_unknown_answer_names_each_gap_once() -> None:
    assert every([MAYBE, unknown("the region"), MAYBE]).gaps == ("the tag", "the region")


def test_the_opposite_of_unknown_is_unknown() -> None:
    assert [negate(item) for item in (YES, NO, MAYBE)] == [NO, YES, MAYBE]
