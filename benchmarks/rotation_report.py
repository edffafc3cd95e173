"""docs/rotation.md: what was measured of a rotation, and the section of one OLM version."""

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.olm_activity import Activity
from deployments.rehearsal.prober import FailedCall, ProbeResult
from deployments.rehearsal.programs import OlmVersion

DOCUMENT = Path(__file__).parents[1] / "docs" / "rotation.md"
_HEAD = """\
# Rotations under load

Written by `python -m benchmarks.rotation`; every number was measured by it. The webhook certificate of one
cluster is changed again and again by the tasks of issue-webhook-certificate, without the gate: request,
approve, sign, publish, prove. Meanwhile server-side dry runs of objects that the nine validators admit go
through both API servers (on one etcd) in turn. The operator stand-in closes each connection after its
answer, so every call of a webhook is a new connection with a handshake of its own.

The delay between a change of the Secret and the new files in the pods is drawn for each rotation from the
seed, uniformly from 0 to 90 s, for the stated share of the rotations; the others have none. It counts from
the last change of the Secret. A pod that starts reads the Secret at once, as with a kubelet.

- *OLM looked in*: OLM listed the webhook configurations of the operator's ClusterServiceVersion after the
  first write of a rotation and before the one that asks OLM to take the CA over (API server's audit log).
  OLM does so every five minutes (± 20 %) by itself, and at events of what it owns.
- *Installs*: OLM wrote its Service, which it does at each run of its installer and at no other time (audit
  log); it may run twice in a row without any effect the second time. *Rollouts*: the operator got other pods.
- *Sleeper*: a thread that sleeps for 0.1 s at a time; where it wakes up seconds late, the machine had no
  processor to give, and calls time out for that reason alone.
- *Window*: failed calls that began within one second of each other, from the start of the first to the start
  of the last.
"""
_SAME_WINDOW = 1.0
"""Seconds between the starts of two failed calls of one window."""


@dataclass(frozen=True)
class Conditions:
    """Under which a run was measured.

    Attributes:
        bundle: The name of the bundle's folder; empty for the rehearsal's own.
        planned: How many rotations were asked for.
    """

    olm: OlmVersion
    bundle: str
    command: str
    seed: int
    delayed_share: float
    ca_share: float
    planned: int
    date: datetime

    @property
    def title(self) -> str:
        """The heading of its section."""
        return f"OLM {self.olm}" + (f", bundle {self.bundle}" if self.bundle else "")


@dataclass(frozen=True)
class Measured:
    """One rotation.

    Attributes:
        number: From 1 on.
        new_ca: Whether the CA changed as well.
        delay: Between a change of the Secret and its files in the pods.
        lasted: From the request to the proof.
        calls: Calls of the prober meanwhile.
        rate: Calls per second.
        failed: Calls that were not admitted.
        stalled: How late the machine woke up a sleeper at worst.
        activity: What OLM and the pipeline did.
        problem: Why it was not proven; empty when it was.
    """

    number: int
    new_ca: bool
    delay: timedelta
    lasted: timedelta
    calls: int
    rate: float
    failed: tuple[FailedCall, ...]
    stalled: timedelta
    activity: Activity
    problem: str

    @property
    def installs(self) -> int:
        """How often OLM ran its installer."""
        return len(self.activity.installs)

    @property
    def window(self) -> float:
        """Seconds of the longest window of failures."""
        return max(windows(self.failed), default=0.0)


def windows(failed: Sequence[FailedCall]) -> list[float]:
    """The length of each window of failures in seconds; the failed calls come oldest first."""
    found: list[list[float]] = []
    for call in failed:
        if found and call.at - found[-1][-1] <= _SAME_WINDOW:
            found[-1].append(call.at)
        else:
            found.append([call.at])
    return [group[-1] - group[0] for group in found]


def describe(one: Measured, planned: int) -> str:
    """A line of progress."""
    looks = ", ".join(
        f"{(at - one.activity.steps[0].at).total_seconds():.1f} s" for at in one.activity.looks_between
    )
    what = f"{one.number}/{planned}: {'new CA' if one.new_ca else 'same CA'}, delay {_seconds(one.delay)}"
    olm = f"{one.installs} installs, {one.activity.rollouts} rollouts"
    calls = f"{one.calls} calls ({one.rate:.1f}/s), {len(one.failed)} failed"
    seen = f"{calls}, {olm}, stall {_seconds(one.stalled)}"
    lines = [f"{what}: {_seconds(one.lasted)}, {seen}, OLM looked in at {looks or '-'}"]
    lines += [f"    {call.at:.2f} s {call.kind}: {call.message}" for call in one.failed[:5]]
    lines += [f"    NOT PROVEN: {one.problem}"] if one.problem else []
    return "\n".join(lines)


def write_section(conditions: Conditions, measured: Sequence[Measured], probed: ProbeResult) -> None:
    """Put this run's section into the document, in place of an earlier one of the same OLM and bundle."""
    old = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    sections = {
        match["title"]: match[0].strip()
        for match in re.finditer(r"^## (?P<title>OLM [^\n]+)\n.*?(?=^## |\Z)", old, re.MULTILINE | re.DOTALL)
    }
    sections[conditions.title] = _section(conditions, measured, probed).strip()
    ordered = [
        sections[title] for olm in OlmVersion for title in sorted(sections) if title.startswith(f"OLM {olm}")
    ]
    DOCUMENT.write_text("\n\n".join([_HEAD.strip(), *ordered]) + "\n")


def _section(conditions: Conditions, measured: Sequence[Measured], probed: ProbeResult) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in probed.kinds.items()) or "none"
    looked = [one for one in measured if one.activity.looks_between]
    new_ca = [one for one in measured if one.new_ca]
    same_ca = [one for one in measured if not one.new_ca]
    failed_windows = [length for one in measured for length in windows(one.failed)]
    rows = {
        "rotations": f"{len(measured)} of {conditions.planned}, {len(new_ca)} with a new CA",
        "not proven": str(sum(bool(one.problem) for one in measured)),
        "calls": f"{probed.calls} ({probed.rate:.1f} per second; {_lowest_rate(measured):.1f} in the slowest "
        "rotation)",
        "**failed calls**": f"**{len(probed.failed)}** ({kinds})",
        "longest window of failures": f"{max(failed_windows, default=0.0):.2f} s "
        f"({len(failed_windows)} windows)",
        "how late a sleeper woke up, min / median / max of rotations": _three(
            one.stalled for one in measured
        ),
        "slowest call": f"{probed.slowest.total_seconds():.2f} s",
        "delay, min / median / max": _three(one.delay for one in measured),
        "time per rotation, min / median / max": _three(one.lasted for one in measured),
        "time without the delay, min / median / max": _three(one.lasted - one.delay for one in measured),
        "OLM's installs, new CA": _histogram(one.installs for one in new_ca),
        "OLM's installs, same CA": _histogram(one.installs for one in same_ca),
        "rollouts, new CA": _histogram(one.activity.rollouts for one in new_ca),
        "rollouts, same CA": _histogram(one.activity.rollouts for one in same_ca),
        "OLM looked in between the steps": f"{sum(len(one.activity.looks_between) for one in looked)} times, "
        f"in {len(looked)} rotations",
    }
    where = describe_machine()
    shares = (
        f"drawn delay in {conditions.delayed_share:.0%} of the rotations, new CA in {conditions.ca_share:.0%}"
    )
    lines = [
        f"## {conditions.title}\n",
        f"`{conditions.command}` on {conditions.date:%Y-%m-%d %H:%M} UTC, {where}.",
        f"Seed {conditions.seed}; {shares} of those after the first.\n",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
        _looks(looked),
        _failures(measured),
        _problems(measured),
    ]
    return "\n".join(lines)


def _looks(looked: Sequence[Measured]) -> str:
    rows = [
        f"| {one.number} | {'new' if one.new_ca else 'same'} | "
        f"{(at - one.activity.steps[0].at).total_seconds():.1f} s | {one.activity.step_before(at)} | "
        f"{len(one.failed)} |"
        for one in looked
        for at in one.activity.looks_between
    ]
    if not rows:
        return ""
    head = ["| rotation | CA | after the first step | last write before it | failed calls |"]
    return "\n".join(["OLM's looks between the steps:\n", *head, "|---|---|---|---|---|", *rows, ""])


def _failures(measured: Sequence[Measured]) -> str:
    failing = [one for one in measured if one.failed]
    if not failing:
        return ""
    rows = [
        f"| {one.number} | {'new' if one.new_ca else 'same'} | {one.installs} | {len(one.failed)} of "
        f"{one.calls} | {one.window:.2f} s | {_seconds(one.stalled)} | {_kinds(one.failed)} |"
        for one in failing
    ]
    head = ["| rotation | CA | installs | failed calls | longest window | sleeper late | what they met |"]
    return "\n".join(["Rotations with failed calls:\n", *head, "|---|---|---|---|---|---|---|", *rows, ""])


def _problems(measured: Sequence[Measured]) -> str:
    rows = [f"- {one.number}: {one.problem}" for one in measured if one.problem]
    return "\n".join(["Rotations that were not proven:\n", *rows, ""]) if rows else ""


def _kinds(failed: Iterable[FailedCall]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in Counter(call.kind for call in failed).items())


def _lowest_rate(measured: Iterable[Measured]) -> float:
    return min((one.rate for one in measured), default=0.0)


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():.1f} s"


def _three(times: Iterable[timedelta]) -> str:
    found = [one.total_seconds() for one in times]
    if not found:
        return "-"
    return " / ".join(f"{one:.1f}" for one in (min(found), statistics.median(found), max(found))) + " s"


def _histogram(numbers: Iterable[int]) -> str:
    counted = sorted(Counter(numbers).items())
    return ", ".join(f"{number} in {count} rotations" for number, count in counted) or "-"
