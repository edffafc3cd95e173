"""The words and numbers of the measured documents (R20, R22)."""

from datetime import timedelta

import pytest

from benchmarks.documented_observing import DiagnosisSummary, EndState
from benchmarks.documented_report import Column, Procedure, answers_in, cause_of
from benchmarks.rotation_report import windows
from deployments.rehearsal.prober import FailedCall, ProbeResult
from deployments.rehearsal.programs import OlmVersion

WRONG_NAME = (
    "Could not create Mesh proof (rehearsal-1): found HTTP 500: Internal error occurred: failed calling "
    'webhook "mesh": failed to call webhook: Post "https://svc:443/": tls: failed to verify '
    "certificate: x509: certificate is valid for a.b.svc.cluster.local, not a.b.svc. Run the flow again."
)
UNTRUSTED = "found HTTP 500: x509: certificate signed by unknown authority"
LOST = 'failed to call webhook: service "web" not found'
LATE = (
    'failed to call webhook: Post "https://svc:443/": context deadline exceeded. '
    "Run the flow again when the API server answers."
)


@pytest.mark.parametrize(
    ("moments", "lengths"),
    [((), []), ((4.0,), [0.0]), ((4.0, 4.5, 5.5, 9.0, 9.25), [1.5, 0.25])],
)
def test_failed_calls_within_a_second_are_one_window(
    moments: tuple[float, ...], lengths: list[float]
) -> None:
    assert windows([FailedCall(at, "") for at in moments]) == lengths


def test_answers_are_cut_to_the_certificates_error_and_counted() -> None:
    found = answers_in([WRONG_NAME, LOST, LATE, WRONG_NAME])

    assert found.splitlines() == [
        "x509: certificate is valid for a.b.svc.cluster.local, not a.b.svc (2 calls)",
        'service "web" not found (1 call)',
        "context deadline exceeded (1 call)",
    ]


def _column(replaced_after: timedelta | None, *answers: str) -> Column:
    state = EndState(
        kept=replaced_after is None,
        served=True,
        trusting=0,
        bundles=12,
        admitted=0,
        validators=len(answers),
        answers=answers,
    )
    return Column(
        olm=OlmVersion.V0_20_0,
        procedure=Procedure.PAGE,
        signer="",
        request="",
        probed=ProbeResult(0, (), timedelta(1), timedelta(0)),
        installs=0,
        replaced_after=replaced_after,
        looked_after=None,
        state=state,
        diagnosis=DiagnosisSummary("", ()),
        steps=(),
    )


@pytest.mark.parametrize(
    ("column", "cause"),
    [
        (_column(timedelta(seconds=1)), "SECRET_OVERWRITTEN"),
        (_column(None, UNTRUSTED, WRONG_NAME), "NAMES_MISSING"),
        (_column(None, UNTRUSTED), "CA_BUNDLE_STALE"),
        (_column(None), ""),
    ],
)
def test_the_cause_to_name_is_what_the_api_server_or_olm_did(column: Column, cause: str) -> None:
    assert cause_of(column) == cause
