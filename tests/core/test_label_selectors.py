"""Label selectors; tests/clients/test_label_selectors.py puts the same questions to an API server."""

import pytest

from tasks.core.errors import InputError
from tasks.core.label_selectors import parse_selector
from tests.support.label_selectors import LABELS, REFUSED, SELECTED


@pytest.mark.parametrize(("selector", "names"), SELECTED.items())
def test_a_selector_selects(selector: str, names: str) -> None:
    parsed = parse_selector(selector)

    assert " ".join(name for name, labels in LABELS.items() if parsed.matches(labels)) == names


@pytest.mark.parametrize("selector", REFUSED)
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(InputError, match="Could not read the label selector"):
        parse_selector(selector)


def test_the_message_says_what_was_expected_and_how_to_write_it() -> None:
    with pytest.raises(InputError) as caught:
        parse_selector("env in prod")

    assert str(caught.value) == (
        "Could not read the label selector ('env in prod'): expected '('; found 'prod'. Write it as for "
        "kubectl: env=prod, env in (prod, stage), region!=us-ashburn-1, owner, !retired."
    )
