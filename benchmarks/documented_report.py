"""docs/documented-procedure.md: the documented procedure and ours in one table."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from benchmarks.documented_observing import DiagnosisSummary, EndState
from benchmarks.documented_steps import DOCUMENTED_SIGNER, WORKING_SIGNER, PageStep
from benchmarks.machine import describe_machine
from benchmarks.rotation_report import windows
from deployments.rehearsal.prober import ProbeResult
from deployments.rehearsal.programs import OlmVersion
from tasks.core.markdown import table

_DOCUMENT = Path(__file__).parents[1] / "docs" / "documented-procedure.md"
_X509 = re.compile(r"x509: .+?(?=\. [A-Z]|\.?$)")
_CALLED = re.compile(r'Post "[^"]*": (?P<error>.+)')
_ADVICE = re.compile(r"\. Run the flow again when the API server answers\.$")
_SHOWN = 4
"""How many different answers a cell holds."""


class Procedure(StrEnum):
    """Which procedure was carried out."""

    PAGE = "as documented"
    OURS = "ours"


@dataclass(frozen=True)
class Column:
    """What was measured of one procedure with one OLM version.

    Attributes:
        signer: What the API server said to the signer's name.
        request: The request's conditions.
        probed: What the prober saw from before the first step to the end.
        installs: How often OLM ran its installer.
        replaced_after: From the publication until OLM wrote another certificate; None when it is kept.
        looked_after: From the last step to OLM's own look; None when there was none in time.
        state: How it was after that.
        steps: What was run by hand.
    """

    olm: OlmVersion
    procedure: Procedure
    signer: str
    request: str
    probed: ProbeResult
    installs: int
    replaced_after: timedelta | None
    looked_after: timedelta | None
    state: EndState
    diagnosis: DiagnosisSummary
    steps: tuple[PageStep, ...]


def write_document(columns: Sequence[Column], command: str, delay: timedelta) -> None:
    """Write what is measured so far."""
    parts = [_head(command, delay), _main_table(columns), _steps(columns)]
    _DOCUMENT.write_text("\n".join(parts))


def summary(column: Column) -> str:
    """A line of progress."""
    failed = len(column.probed.failed)
    calls = f"{failed} of {column.probed.calls} calls failed {dict(column.probed.kinds)}"
    return f"OLM {column.olm}, {column.procedure}: {calls}, Secret {_secret(column)}, {column.diagnosis}"


def cause_of(column: Column) -> str:
    """What a diagnosis has to find, by what was seen; empty when all is well."""
    if column.replaced_after is not None:
        return "SECRET_OVERWRITTEN"
    answers = " ".join(column.state.answers)
    if "certificate is valid for" in answers:
        return "NAMES_MISSING"
    return "CA_BUNDLE_STALE" if "unknown authority" in answers else ""


def _head(command: str, delay: timedelta) -> str:
    seconds = f"{delay.total_seconds():.0f} s"
    return f"""\
# The documented procedure and ours, measured

Written by `{command}` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC,
{describe_machine()};
every cell was measured by it. Each column is a control plane of its own (two API servers on one etcd) with
the operator installed and OLM's certificate in use. *As documented* is the runbook's R12–R20 with cfssl,
cfssljson and kubectl, as the page has it; only the signer's name became `{WORKING_SIGNER}` after
`{DOCUMENTED_SIGNER}` had been refused, so that the rest could be tried. *Ours* is request, approve, sign,
publish, prove, as in issue-webhook-certificate without the gate. A changed Secret reaches the pods after
{seconds} (a kubelet needs up to two minutes).

A prober called the nine validators through both API servers from before the first step until OLM had looked
in by itself (it does so every five minutes) and ten seconds more; every call is a new connection to the
webhook.
"""


def _main_table(columns: Sequence[Column]) -> str:
    rows: dict[str, Callable[[Column], str]] = {
        "signerName of the page (R13)": lambda one: one.signer,
        "the request afterwards (R18)": lambda one: one.request,
        "calls of the validators": lambda one: f"{one.probed.calls}, {one.probed.rate:.0f} per second",
        "of them failed": lambda one: str(len(one.probed.failed)),
        "longest window of failures": _window,
        "what the API server answered": lambda one: (
            answers_in(call.message for call in one.probed.failed) or "nothing but admissions"
        ),
        "OLM's installs of the operator": lambda one: str(one.installs),
        "OLM's own look (resync)": _look,
        "the Secret afterwards": _secret,
        "endpoints serve the issued certificate": lambda one: "yes" if one.state.served else "no",
        "caBundles with the CA": lambda one: f"{one.state.trusting} of {one.state.bundles}",
        "validators at the end": lambda one: f"{one.state.admitted} of {one.state.validators} calls admitted",
        "the API server at the end": lambda one: answers_in(one.state.answers) or "admits all",
        "diagnose-certificate says": lambda one: ", ".join([one.diagnosis.verdict, *one.diagnosis.cases]),
        "does it name the cause": _named,
    }
    headers = ["", *(f"OLM {one.olm.value}, {one.procedure.value}" for one in columns)]
    return table(headers, ([name, *(cell(one) for one in columns)] for name, cell in rows.items()))


def _window(column: Column) -> str:
    failed = column.probed.failed
    if not failed:
        return "none"
    to_the_end = column.probed.lasted.total_seconds() - failed[-1].at < 1
    length = max(windows(failed))
    return f"{length:.1f} s" + (", still open at the end" if to_the_end else "")


def _look(column: Column) -> str:
    if column.looked_after is None:
        return "none was seen"
    return f"{column.looked_after.total_seconds():.0f} s after the last step"


def _secret(column: Column) -> str:
    if column.state.kept:
        return "kept"
    if column.replaced_after is None:
        return "another certificate, not by OLM"
    return f"replaced by OLM after {column.replaced_after.total_seconds():.1f} s"


def _named(column: Column) -> str:
    cause = cause_of(column)
    if not cause:
        return "there is none" if column.diagnosis.verdict != "BROKEN" else "it names one where none was seen"
    return f"yes: {cause}" if cause in column.diagnosis.cases else f"no: {cause} is missing"


def answers_in(messages: Iterable[str]) -> str:
    """The different errors in what the API server said, the most frequent first, with their numbers."""
    counted = Counter(_error(message) for message in messages)
    shown = [
        f"{text} ({number} {'call' if number == 1 else 'calls'})"
        for text, number in counted.most_common(_SHOWN)
    ]
    more = len(counted) - len(shown)
    return "\n".join([*shown, *([f"and {more} others"] if more > 0 else [])])


def _error(message: str) -> str:
    """The certificate's error, or the end of the sentence about the call."""
    flat = " ".join(message.split())
    if found := _X509.search(flat):
        return found[0]
    plain = _ADVICE.sub("", flat).rpartition("failed to call webhook: ")[2]
    called = _CALLED.search(plain)
    return called["error"] if called else plain


def _steps(columns: Sequence[Column]) -> str:
    walked = next((one for one in columns if one.steps), None)
    if walked is None:
        return ""
    rows = (
        (step.runbook, step.command, "yes" if step.succeeded else "no", step.answer) for step in walked.steps
    )
    title = f"## The page's steps, as they went with OLM {walked.olm.value}\n"
    return f"\n{title}\n{table(('Step', 'Command', 'Worked', 'Answer'), rows)}"
