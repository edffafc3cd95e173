"""The evidence of a flow run, kept where results go, one object per record, and its last digest apart.

Each record is an object of its own (`evidence/<flow run id>/0003.json`), so a process that dies while it
writes damages no earlier record. Their number and the last digest stand in the labels of the flow run, in
Prefect's database: a run that was suspended and starts again from the top goes on where it was, a record
that is there already is not made again, and a chain that somebody changed meanwhile is refused.
"""

import threading
from datetime import UTC, datetime
from uuid import UUID

from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort
from prefect.context import FlowRunContext
from prefect.filesystems import WritableFileSystem
from prefect.results import get_default_result_storage

from tasks.connections.prefect_api import prefect_api
from tasks.connections.storages import completed, find_storage
from tasks.core.errors import InputError
from tasks.core.evidence import (
    START,
    EvidenceEvent,
    EvidenceRecord,
    EvidenceState,
    Facts,
    append,
    canonical_json,
    head_of,
    read_records,
    verify,
    write_records,
)
from tasks.core.markdown import escaped, table

COUNT_LABEL = "osok-fleet.io/evidence-records"
HEAD_LABEL = "osok-fleet.io/evidence-head"

_SHOWN_FACTS = 400
_RECORDS = "evidence-records"
_COPY = "evidence-so-far"


class _AbsentError(InputError):
    """A record is not where it was written, as with another worker's folder; a changed one is there."""


class EvidenceLog:
    """The records of one flow run. Made by `open_evidence`; one process writes it, from any of its threads.

    Args:
        storage: Where the records go.
        run: The flow run's id.
        records: The chain so far.
    """

    def __init__(
        self, storage: WritableFileSystem, run: UUID, records: tuple[EvidenceRecord, ...] = ()
    ) -> None:
        self._storage = storage
        self._run = run
        self._records = records
        self._copied = 0
        self._writing = threading.Lock()

    @property
    def records(self) -> tuple[EvidenceRecord, ...]:
        """The chain so far."""
        return self._records

    @property
    def head(self) -> str:
        """The last digest."""
        return head_of(self._records)

    def record(self, event: EvidenceEvent, subject: str, facts: Facts) -> EvidenceRecord:
        """Keep what happened. The same event with the same subject and facts is kept once per flow run.

        Args:
            event: What happened.
            subject: Which cluster and object.
            facts: JSON data without key material.

        Returns:
            The record, or the one that an earlier try of this flow run made.

        Raises:
            InputError: The facts have a secret, or a value that has no canonical JSON.
        """
        with self._writing:
            for present in self._records:
                if (present.event, present.subject) == (event, subject) and _same(present.facts, facts):
                    return present
            records = append(self._records, event, subject, facts, datetime.now(UTC))
            record = records[-1]
            _write(self._storage, _path(self._run, record.position), write_records((record,)))
            # The object first: a record counts once the flow run's labels say so.
            _keep_head(self._run, records)
            self._records = records
            return record

    def publish(self) -> str:
        """Write the whole chain as one file and as artifacts of the flow run; returns its last digest."""
        lines = write_records(self._records)
        path = f"{_folder(self._run)}/evidence.jsonl"
        _write(self._storage, path, lines)
        create_markdown_artifact(
            _markdown(self._run, self._records, path),
            key="evidence",
            description=f"{len(self._records)} records, last digest {self.head}",
        )
        create_markdown_artifact(
            f"```json\n{lines}```\n", key=_RECORDS, description="The records, for `verify`"
        )
        return self.head

    def keep_copy(self) -> None:
        """Copy the chain into an artifact, before a run is suspended: it may go on without this storage."""
        if self._copied != len(self._records):
            create_markdown_artifact(
                f"```json\n{write_records(self._records)}```\n",
                key=_COPY,
                description=f"The {len(self._records)} records before the decision",
            )
            self._copied = len(self._records)


def open_evidence(location: str = "") -> EvidenceLog:
    """The evidence of the flow run that calls, new or as an earlier try left it.

    Where a storage does not have the records, as a folder of another worker, they are taken from the artifact
    of the run: number and last digest in the flow run's labels say whether they are the ones.

    Args:
        location: `block-type/name` of a storage block, or an absolute folder; empty for the storage that the
            flow run's results go to.

    Raises:
        InputError: There is no flow run or no such storage, or the records are not those that were left.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise InputError("keep evidence", found="no flow run", expected="to be called inside a flow run")
    storage, run = _storage(location, context), context.flow_run.id
    with prefect_api() as client:
        labels = client.read_flow_run(run).labels
    count, head = int(labels.get(COUNT_LABEL, 0)), str(labels.get(HEAD_LABEL, START))
    try:
        paths = [_path(run, position) for position in range(count)]
        records = tuple(record for path in paths for record in _read(storage, path))
    except _AbsentError:
        records = _published_records(run)
        if len(records) != count or verify(records, head).state is not EvidenceState.INTACT:
            raise
        for record in records:
            _write(storage, _path(run, record.position), write_records((record,)))
    verdict = verify(records, head)
    if count and verdict.state is not EvidenceState.INTACT:
        raise InputError(
            "go on with the evidence",
            _folder(run),
            f"{count} records with the last digest {head}, as this flow run left them",
            f"{verdict.state}: {verdict.message}",
            "Somebody changed them. Keep what is there, find out who did, and start a new flow run.",
        )
    return EvidenceLog(storage, run, records)


def _published_records(run: UUID) -> tuple[EvidenceRecord, ...]:
    """The chain in the newest artifact of the flow run; none when there is none or it cannot be read."""
    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[_RECORDS, _COPY])
    )
    with prefect_api() as client:
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
    text = str(found[0].data) if found else ""
    try:
        return read_records("\n".join(line for line in text.split("\n") if not line.startswith("```")))
    except InputError:
        return ()


def _storage(location: str, context: FlowRunContext) -> WritableFileSystem:
    if location:
        return find_storage("keep evidence", location)
    storage: WritableFileSystem = completed(
        context.result_store.result_storage or get_default_result_storage()
    )
    return storage


def _same(facts: Facts, others: Facts) -> bool:
    return canonical_json(dict(facts)) == canonical_json(dict(others))


def _folder(run: UUID) -> str:
    return f"evidence/{run}"


def _path(run: UUID, position: int) -> str:
    return f"{_folder(run)}/{position:04}.json"


def _keep_head(run: UUID, records: tuple[EvidenceRecord, ...]) -> None:
    with prefect_api() as client:
        client.update_flow_run_labels(run, {COUNT_LABEL: len(records), HEAD_LABEL: head_of(records)})


def _write(storage: WritableFileSystem, path: str, text: str) -> None:
    completed(storage.write_path(path, text.encode()))


def _read(storage: WritableFileSystem, path: str) -> tuple[EvidenceRecord, ...]:
    try:
        content: bytes = completed(storage.read_path(path))
    except (ValueError, OSError) as error:
        raise _AbsentError(
            "go on with the evidence",
            path,
            "the record that this flow run made",
            f"{type(error).__name__} of the storage",
            "Is it the storage that the flow run began with, reachable from every worker?",
        ) from None
    return read_records(content.decode())


def _markdown(run: UUID, records: tuple[EvidenceRecord, ...], path: str) -> str:
    rows = [
        (str(record.position), record.at, record.event.value, record.subject, _shown(record.facts))
        for record in records
    ]
    head = head_of(records)
    return (
        f"# Evidence of flow run {run}\n\n"
        f"{len(records)} records, last digest `{head}`. They lie in the storage as `{escaped(path)}` and in "
        "the artifact `evidence-records`. An approver is what the person claimed.\n\n"
        f"{table(('No.', 'Time', 'Event', 'Subject', 'Facts'), rows)}\n"
        "To check a copy of them, anywhere and without Prefect:\n\n"
        f"```\npython -m deployments.evidence evidence.jsonl --head {head}\n```\n"
    )


def _shown(facts: Facts) -> str:
    text = canonical_json(dict(facts)).removeprefix("{").removesuffix("}")
    return text if len(text) <= _SHOWN_FACTS else f"{text[:_SHOWN_FACTS]}…"
