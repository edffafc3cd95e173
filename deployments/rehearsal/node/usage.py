"""What the machine and its programs use, read from /proc, in the format of a kubelet's /metrics/resource."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BUSY_COLUMNS = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq (proc_stat(5))


@dataclass(frozen=True)
class Usage:
    """What was used.

    Attributes:
        cpu_seconds: Since the start.
        memory_bytes: Now.
    """

    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class ContainerUsage:
    """What one container used."""

    namespace: str
    pod: str
    container: str
    started_at: datetime
    usage: Usage


def process_usage(sandbox: int) -> Usage | None:
    """What the program of a sandbox used; None when it has ended.

    Args:
        sandbox: The process id of the sandbox, whose only child the program is.
    """
    try:
        (program,) = (_PROC / f"{sandbox}/task/{sandbox}/children").read_text().split()
        # The name in parentheses may hold spaces, so count from the last one.
        columns = (_PROC / program / "stat").read_text().rpartition(")")[2].split()
        resident = int((_PROC / program / "statm").read_text().split()[1])
    except (OSError, ValueError):
        return None
    return Usage((int(columns[11]) + int(columns[12])) / _TICKS, resident * _PAGE)


def machine_usage() -> Usage:
    """What the whole machine used since it booted."""
    columns = (_PROC / "stat").read_text().splitlines()[0].split()[1:]
    memory = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text().splitlines())
    used = _kilobytes(memory["MemTotal"]) - _kilobytes(memory["MemAvailable"])
    return Usage(sum(int(columns[index]) for index in _BUSY_COLUMNS) / _TICKS, used * 1024)


def resource_metrics(machine: Usage, containers: Iterable[ContainerUsage], now: datetime) -> str:
    """The metrics that a metrics server scrapes (KEP-727, resource metrics endpoint)."""
    return "".join(f"{line}\n" for line in _lines(machine, list(containers), int(now.timestamp() * 1000)))


def _lines(machine: Usage, containers: list[ContainerUsage], moment: int) -> Iterator[str]:
    yield "# TYPE node_cpu_usage_seconds_total counter"
    yield f"node_cpu_usage_seconds_total {machine.cpu_seconds} {moment}"
    yield "# TYPE node_memory_working_set_bytes gauge"
    yield f"node_memory_working_set_bytes {machine.memory_bytes} {moment}"
    yield "# TYPE container_cpu_usage_seconds_total counter"
    for each in containers:
        yield f"container_cpu_usage_seconds_total{_labels(each)} {each.usage.cpu_seconds} {moment}"
    yield "# TYPE container_memory_working_set_bytes gauge"
    for each in containers:
        yield f"container_memory_working_set_bytes{_labels(each)} {each.usage.memory_bytes} {moment}"
    yield "# TYPE container_start_time_seconds gauge"
    for each in containers:
        yield f"container_start_time_seconds{_labels(each)} {each.started_at.timestamp()}"


def _labels(each: ContainerUsage) -> str:
    return f'{{container="{each.container}",namespace="{each.namespace}",pod="{each.pod}"}}'


def _kilobytes(text: str) -> int:
    return int(text.split(maxsplit=1)[0])
