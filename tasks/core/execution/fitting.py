"""What does not go together with a flow run for each cluster of an installation."""

from tasks.core.errors import InputError
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.phases import InstallationPhase
from tasks.core.rollout.settings import RolloutChoice
from tasks.core.settings import CertificateChoice, CertificateMode

_ATTEMPTED = "work on clusters in flow runs of their own"


def refuse_what_does_not_fit(execution: ExecutionChoice, rollout: RolloutChoice) -> None:
    """Refuse runs of their own where clusters are taken one after another, before anything is touched.

    Raises:
        InputError: It names the fields.
    """
    if execution.mode is Execution.DEPLOYMENT_RUNS and not rollout.waves:
        raise InputError(
            _ATTEMPTED,
            f"rollout.waves with execution.mode {Execution.DEPLOYMENT_RUNS.value}",
            "waves",
            "none",
            "Add a wave: without, clusters are taken one after another.",
        )


def refuse_a_certificate_without_its_gate(phase: InstallationPhase, certificate: CertificateChoice) -> None:
    """Refuse a whole installation with a certificate of one's own in a cluster's run: it has no gate.

    Raises:
        InputError: It names the fields.
    """
    if phase is InstallationPhase.ALL and certificate.mode is CertificateMode.OWN:
        raise InputError(
            _ATTEMPTED,
            f"certificate.mode with phase {phase.value}",
            CertificateMode.OLM.value,
            certificate.mode.value,
            "Run install-fleet: it has the gate, signs and publishes, and starts this flow for the rest.",
        )
