"""An error says what was attempted, expected and found, and what to do; it survives a process border."""

import pickle

from tasks.core.errors import ClusterConflictError, ClusterForbiddenError, Reaction


def test_the_message_has_all_its_parts_in_order() -> None:
    error = ClusterForbiddenError("apply X", "fra-1: Secret a/b", "permission", "HTTP 403", "Grant it.")

    assert (
        str(error) == "Could not apply X (fra-1: Secret a/b): expected permission; found HTTP 403. Grant it."
    )


def test_parts_that_are_not_known_are_left_out() -> None:
    assert str(ClusterForbiddenError("apply X")) == "Could not apply X."


def test_an_error_survives_pickling() -> None:
    error = ClusterConflictError("apply X", found="HTTP 409")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert str(copy) == str(error)
    assert copy.retryable is True


def test_a_refusal_is_not_retryable() -> None:
    assert ClusterForbiddenError.reaction is Reaction.REFUSE
    assert ClusterForbiddenError("apply X").retryable is False
