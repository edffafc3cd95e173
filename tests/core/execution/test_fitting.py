"""What does not go together with a flow run for each cluster of an installation."""

import pytest

from tasks.core.errors import InputError
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.fitting import refuse_what_does_not_fit
from tasks.core.rollout.settings import RolloutChoice, RolloutWave
from tasks.core.settings import CertificateChoice, CertificateMode

RUNS = ExecutionChoice(mode=Execution.DEPLOYMENT_RUNS)
WAVES = RolloutChoice(waves=[RolloutWave(name="all")])
OWN = CertificateChoice(mode=CertificateMode.OWN, authority="ca")


def test_tasks_do_everything() -> None:
    refuse_what_does_not_fit(ExecutionChoice(), RolloutChoice(), OWN)


def test_runs_of_their_own_do_waves_with_olms_certificate() -> None:
    refuse_what_does_not_fit(RUNS, WAVES, CertificateChoice())


def test_without_waves_they_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"rollout.waves with execution.mode DEPLOYMENT_RUNS\): expected waves; found none"
    ):
        refuse_what_does_not_fit(RUNS, RolloutChoice(), CertificateChoice())


def test_with_a_certificate_of_your_own_they_are_refused() -> None:
    """The gate is one for a wave; it would have to hand its decision to other runs."""
    with pytest.raises(
        InputError, match=r"certificate.mode with execution.mode DEPLOYMENT_RUNS\): expected OLM; found OWN"
    ):
        refuse_what_does_not_fit(RUNS, WAVES, OWN)
