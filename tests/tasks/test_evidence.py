"""The evidence of a flow run: kept once, reloaded by a run that starts again, refused when changed."""

from collections.abc import Callable
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext
from prefect.filesystems import LocalFileSystem, WritableFileSystem
from prefect.runtime import flow_run
from pydantic import PrivateAttr
from typing_extensions import override

from deployments.rehearsal.running import artifacts_of
from tasks.certificates.evidence import COUNT_LABEL, HEAD_LABEL, EvidenceLog, open_evidence
from tasks.core.errors import InputError
from tasks.core.evidence import (
    START,
    EvidenceEvent,
    EvidenceRecord,
    EvidenceState,
    head_of,
    read_records,
    verify,
)

pytestmark = pytest.mark.usefixtures("prefect_server")

FACTS = {"approver": "Ada", "reason": "planned"}
PEM_KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


class AsyncOnly(WritableFileSystem):
    """A storage block that answers with coroutines only, as the interface is written."""

    _content: dict[str, bytes] = PrivateAttr(default_factory=dict)

    @override
    async def read_path(self, path: str) -> bytes:
        return self._content[path]

    @override
    async def write_path(self, path: str, content: bytes) -> None:
        self._content[path] = content


def run_id() -> UUID:
    return UUID(str(flow_run.id))


def records_in(folder: Path) -> tuple[EvidenceRecord, ...]:
    """What lies in the storage of the only flow run that used it."""
    (run,) = (folder / "evidence").iterdir()
    return read_records("".join(path.read_text() for path in sorted(run.glob("*.json"))))


def in_a_flow(body: Callable[[], None], retries: int = 0) -> None:
    """Run it inside a flow run."""
    flow(retries=retries, name="keeps-evidence")(body)()


def test_each_record_lies_in_an_object_of_its_own(tmp_path: Path) -> None:
    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.STARTED, "fra-1", {})
        log.record(EvidenceEvent.DECIDED, "fra-1", FACTS)

    in_a_flow(keep)

    (run,) = (tmp_path / "evidence").iterdir()
    assert sorted(path.name for path in run.iterdir()) == ["0000.json", "0001.json"]
    assert verify(records_in(tmp_path)).state is EvidenceState.INTACT


def test_number_and_last_digest_stand_in_the_flow_runs_labels(
    tmp_path: Path, prefect_server: SyncPrefectClient
) -> None:
    seen: list[UUID] = []

    def keep() -> None:
        open_evidence(str(tmp_path)).record(EvidenceEvent.DECIDED, "fra-1", FACTS)
        seen.append(run_id())

    in_a_flow(keep)

    labels = prefect_server.read_flow_run(seen[0]).labels
    assert (labels[COUNT_LABEL], labels[HEAD_LABEL]) == (1, head_of(records_in(tmp_path)))


def test_a_run_that_starts_again_goes_on_and_makes_no_record_twice(tmp_path: Path) -> None:
    """As a suspended run does: from the top, in the same flow run."""

    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.STARTED, "fra-1", FACTS)
        log.record(EvidenceEvent.ASKED, "fra-1", {"usages": ("server auth",)})
        if flow_run.run_count == 1:
            raise RuntimeError("killed")
        log.record(EvidenceEvent.DECIDED, "fra-1", FACTS)

    in_a_flow(keep, retries=1)

    kept = records_in(tmp_path)
    assert [record.event for record in kept] == [
        EvidenceEvent.STARTED,
        EvidenceEvent.ASKED,
        EvidenceEvent.DECIDED,
    ]
    assert verify(kept).state is EvidenceState.INTACT


def test_other_facts_are_another_record(tmp_path: Path) -> None:
    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.DECIDED, "fra-1", FACTS)
        log.record(EvidenceEvent.DECIDED, "fra-1", {**FACTS, "reason": "asked again"})
        log.record(EvidenceEvent.DECIDED, "zrh-1", FACTS)

    in_a_flow(keep)

    assert len(records_in(tmp_path)) == 3


def test_a_record_that_was_cut_off_while_it_was_written_does_not_count(tmp_path: Path) -> None:
    """The process died between the object and the label: the next try writes it again."""

    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.STARTED, "fra-1", {})
        if flow_run.run_count == 1:
            (tmp_path / "evidence" / str(run_id()) / "0001.json").write_text('{"at":"20')
            raise RuntimeError("killed")
        log.record(EvidenceEvent.ASKED, "fra-1", {})

    in_a_flow(keep, retries=1)

    assert verify(records_in(tmp_path)).state is EvidenceState.INTACT
    assert len(records_in(tmp_path)) == 2


def damage_content(path: Path) -> None:
    path.write_text(path.read_text().replace("Ada", "Eve"))


def damage_by_loss(path: Path) -> None:
    path.unlink()


def damage_by_nonsense(path: Path) -> None:
    path.write_text("{}\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_content, "CHANGED: its content has the digest"),
        (damage_by_loss, "ValueError of the storage"),
        (damage_by_nonsense, "one record as JSON"),
    ],
)
def test_evidence_that_was_changed_meanwhile_stops_the_run(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.DECIDED, "fra-1", FACTS)
        damage(tmp_path / "evidence" / str(run_id()) / "0000.json")
        open_evidence(str(tmp_path))

    with pytest.raises(InputError, match=said):
        in_a_flow(keep)


def test_a_chain_that_was_written_anew_stops_the_run(tmp_path: Path) -> None:
    """Sound in itself, but not the one whose digest the flow run keeps."""

    def keep() -> None:
        open_evidence(str(tmp_path)).record(EvidenceEvent.DECIDED, "fra-1", FACTS)
        forged = EvidenceLog(LocalFileSystem(basepath=str(tmp_path / "forged")), run_id())
        forged.record(EvidenceEvent.DECIDED, "fra-1", {"approver": "Eve"})

        open_evidence(str(tmp_path))

    with pytest.raises(InputError, match="CUT: the last digest is"):
        in_a_flow(keep)


def test_a_secret_is_refused_and_written_nowhere(tmp_path: Path) -> None:
    def keep() -> None:
        open_evidence(str(tmp_path)).record(EvidenceEvent.ISSUED, "fra-1", {"certificate": PEM_KEY})

    with pytest.raises(InputError, match="facts without secrets"):
        in_a_flow(keep)

    assert list(tmp_path.iterdir()) == []


def test_evidence_goes_where_results_go_unless_told_otherwise(tmp_path: Path) -> None:
    def keep() -> None:
        open_evidence().record(EvidenceEvent.STARTED, "fra-1", {})

    storage = LocalFileSystem(basepath=str(tmp_path))
    storage.save("results-kept", overwrite=True)
    flow(result_storage=storage, name="keeps-evidence")(keep)()

    assert len(records_in(tmp_path)) == 1


def test_without_any_setting_evidence_goes_to_the_default_storage(prefect_server: SyncPrefectClient) -> None:
    seen: list[Path] = []

    def keep() -> None:
        open_evidence().record(EvidenceEvent.STARTED, "fra-1", {})
        context = FlowRunContext.get()
        assert context is not None
        storage = cast("LocalFileSystem", context.result_store.result_storage)
        seen.append(Path(str(storage.basepath)) / "evidence" / str(run_id()) / "0000.json")

    in_a_flow(keep)

    assert seen[0].is_file()


def test_a_storage_block_keeps_it(tmp_path: Path) -> None:
    LocalFileSystem(basepath=str(tmp_path)).save("evidence-kept", overwrite=True)

    def keep() -> None:
        open_evidence("local-file-system/evidence-kept").record(EvidenceEvent.STARTED, "fra-1", {})

    in_a_flow(keep)

    assert len(records_in(tmp_path)) == 1


def test_a_storage_that_answers_with_coroutines_keeps_it() -> None:
    storage = AsyncOnly()
    storage.save("answers-with-coroutines", overwrite=True)
    lengths: list[int] = []

    def keep() -> None:
        open_evidence().record(EvidenceEvent.STARTED, "fra-1", {})
        lengths.append(len(open_evidence().records))

    flow(result_storage=storage, name="keeps-evidence")(keep)()

    assert lengths == [1]


@pytest.mark.parametrize("location", ["local-file-system/no-such-block", "evidence"])
def test_a_storage_that_does_not_exist_is_an_input_error(location: str) -> None:
    def keep() -> None:
        open_evidence(location)

    with pytest.raises(InputError, match="no such block"):
        in_a_flow(keep)


def test_evidence_belongs_to_a_flow_run() -> None:
    with pytest.raises(InputError, match="inside a flow run"):
        open_evidence()


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    heads: list[str] = []

    def keep() -> None:
        heads.append(open_evidence(str(tmp_path)).head)

    in_a_flow(keep)

    assert heads == [START]


def test_publishing_leaves_one_file_and_artifacts_with_the_last_digest(
    tmp_path: Path, prefect_server: SyncPrefectClient
) -> None:
    seen: list[tuple[UUID, str]] = []

    def keep() -> None:
        log = open_evidence(str(tmp_path))
        log.record(EvidenceEvent.DECIDED, "fra-1 | <b>", {**FACTS, "names": ["x" * 50] * 20})
        seen.append((run_id(), log.publish()))

    in_a_flow(keep)

    ((run, head),) = seen
    artifacts = artifacts_of(prefect_server, run)
    lines = (tmp_path / "evidence" / str(run) / "evidence.jsonl").read_text()
    assert verify(read_records(lines), head).state is EvidenceState.INTACT
    assert artifacts["evidence-records"] == f"```json\n{lines}```\n"
    assert f"python -m deployments.evidence evidence.jsonl --head {head}" in artifacts["evidence"]
    assert "| fra-1 \\| &lt;b&gt; | " in artifacts["evidence"]
