"""A large fleet is looked at by processes of their own; whatever goes wrong there is a cluster's result."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from prefect import flow
from typing_extensions import override

from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.results import VerificationState
from tasks.drift.batches import Look, look_in_batches
from tasks.drift.publishing import ClusterDocument, silent_first
from tasks.drift.verifying import Verified
from tests.support.expectations import expectation
from tests.support.fleet_results import unreachable, verified

pytestmark = pytest.mark.usefixtures("prefect_server")


@dataclass(frozen=True)
class FaultyLook(Look):
    """A verification with a fault of its own."""

    @override
    def take(self) -> Verified:
        raise ValueError(f"no such luck with {self.name}")


@dataclass(frozen=True)
class DeadlyLook(Look):
    """What takes the process away, as the kernel does for lack of memory."""

    @override
    def take(self) -> Verified:
        os._exit(9)


def look(name: str, kind: type[Look] = Look) -> Look:
    """At a cluster without a block."""
    return kind(name, expectation(), VerificationChoice(), ClusterMemory(), None)


def looked_at(looks: Sequence[Look]) -> list[tuple[str, str, str]]:
    """Cluster, state and error of each result, of a flow run that looks."""

    @flow(name="looks")
    def look_at_all() -> list[Verified]:
        return look_in_batches(looks)

    return [(one.result.cluster, one.result.state.value, one.result.error) for one in look_at_all()]


def test_results_come_in_the_order_of_the_clusters_and_name_what_each_lacks() -> None:
    """A process that looks asks the Prefect server of the flow run."""
    names = [f"without-block-{number}" for number in range(5)]

    found = looked_at([look(name) for name in names])

    assert [(name, state) for name, state, _ in found] == [(name, "UNVERIFIED") for name in names]
    assert [error.split(" (")[0] for *_, error in found] == [
        f"Could not load the block '{name}'" for name in names
    ]


def test_a_fault_of_one_verification_is_the_result_of_its_cluster() -> None:
    found = looked_at([look("a"), look("faulty", FaultyLook), look("b")])

    assert [state for _, state, _ in found] == ["UNVERIFIED"] * 3
    assert found[1][2] == "a fault of the verification itself: ValueError; the run's log has the rest"
    assert "fault" not in found[0][2] + found[2][2]


def test_a_process_that_is_gone_is_the_result_of_its_clusters() -> None:
    found = looked_at([look("deadly", DeadlyLook)])

    assert found == [
        (
            "deadly",
            "UNVERIFIED",
            "a fault of the verification itself: BrokenProcessPool; the run's log has the rest",
        )
    ]


def test_clusters_that_did_not_answer_last_time_are_looked_at_first() -> None:
    results = [verified("fine"), unreachable("silent"), unreachable("dark")]
    known = {one.cluster: ClusterDocument(result=one, memory=ClusterMemory()) for one in results}

    order = silent_first(["new", "fine", "silent", "dark"], known)

    assert results[1].state is VerificationState.UNREACHABLE
    assert order == ["silent", "dark", "new", "fine"]
