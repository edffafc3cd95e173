"""Results of a run's clusters, whatever became of their tasks."""

from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.results import ClusterVerification, VerificationState
from tasks.drift.verifying import Verified, checked

FINE = Verified(ClusterVerification(cluster="a", state=VerificationState.FINE), ClusterMemory())


def test_a_result_is_taken_as_it_is() -> None:
    assert checked("a", FINE, ClusterMemory()) is FINE


def test_a_fault_of_one_verification_is_its_clusters_result_and_tells_no_more_than_its_kind() -> None:
    """A message may hold anything; the log has it, the artifact does not."""
    found = checked("a", KeyError("token-4711"), ClusterMemory())

    assert found.result.state is VerificationState.UNVERIFIED
    assert "KeyError" in found.result.error
    assert "token-4711" not in found.result.error
