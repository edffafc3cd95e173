"""What does not go together with a flow run for each cluster of an installation."""

from tasks.core.errors import InputError
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.rollout.settings import RolloutChoice
from tasks.core.settings import CertificateChoice, CertificateMode


def refuse_what_does_not_fit(
    execution: ExecutionChoice, rollout: RolloutChoice, certificate: CertificateChoice
) -> None:
    """Refuse a choice that cannot be carried out, before anything is touched.

    Raises:
        InputError: It names the fields.
    """
    if execution.mode is Execution.TASKS:
        return
    if not rollout.waves:
        raise _refusal(
            "rollout.waves", "waves", "none", "Add a wave: without, clusters are taken one after another."
        )
    if certificate.mode is CertificateMode.OWN:
        raise _refusal(
            "certificate.mode",
            CertificateMode.OLM.value,
            certificate.mode.value,
            "Choose execution.mode TASKS; or install with OLM and run issue-webhook-certificate afterwards.",
        )


def _refusal(field: str, expected: str, found: str, next_step: str) -> InputError:
    return InputError(
        "work on clusters in flow runs of their own",
        f"{field} with execution.mode {Execution.DEPLOYMENT_RUNS.value}",
        expected,
        found,
        next_step,
    )
