"""What does not go together with a flow run for each cluster of an installation."""

import pytest

from tasks.core.errors import InputError
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.fitting import refuse_a_certificate_without_its_gate, refuse_what_does_not_fit
from tasks.core.execution.phases import InstallationPhase
from tasks.core.rollout.settings import RolloutChoice, RolloutWave
from tasks.core.settings import CertificateChoice, CertificateMode

RUNS = ExecutionChoice(mode=Execution.DEPLOYMENT_RUNS)
WAVES = RolloutChoice(waves=[RolloutWave(name="all")])
OWN = CertificateChoice(mode=CertificateMode.OWN, authority="ca")


def test_tasks_need_no_waves_and_runs_of_their_own_do() -> None:
    refuse_what_does_not_fit(ExecutionChoice(), RolloutChoice())
    refuse_what_does_not_fit(RUNS, WAVES)

    with pytest.raises(
        InputError, match=r"rollout.waves with execution.mode DEPLOYMENT_RUNS\): expected waves; found none"
    ):
        refuse_what_does_not_fit(RUNS, RolloutChoice())


def test_a_clusters_run_makes_no_certificate_of_your_own() -> None:
    """It has no gate; what comes before and after the decision is no way around it."""
    refuse_a_certificate_without_its_gate(InstallationPhase.ALL, CertificateChoice())
    refuse_a_certificate_without_its_gate(InstallationPhase.BEFORE_DECISION, OWN)
    refuse_a_certificate_without_its_gate(InstallationPhase.AFTER_DECISION, OWN)

    with pytest.raises(InputError, match=r"certificate.mode with phase ALL\): expected OLM; found OWN"):
        refuse_a_certificate_without_its_gate(InstallationPhase.ALL, OWN)
