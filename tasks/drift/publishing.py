"""What a verification leaves in Prefect: pages for people, JSON for machines, memory for the next run."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from pydantic import BaseModel, Field

from tasks.connections.prefect_api import prefect_api
from tasks.core.drift.items import DATA
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.reports import cluster_page, fleet_status
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tasks.documents import fenced, read_document
from tasks.drift.verifying import Verified

FLEET_KEY = "fleet-status"
"""Key of the artifact with the table of all clusters; `-json` after it for machines."""
_CLUSTER_KEY = "drift-{}"
_BATCH = 100
_PARALLEL = 8


class ClusterDocument(BaseModel):
    """The JSON of one cluster: its result, and what the next verification has to know."""

    model_config = DATA

    schema_version: int = Field(default=1, description="Of this document")
    result: ClusterVerification = Field(description="What was found")
    memory: ClusterMemory = Field(description="What is remembered")


def read_memories(clusters: Sequence[str]) -> dict[str, ClusterDocument]:
    """The last document of each cluster that has one.

    One that cannot be read counts as none: drift is then reported as new, which is better than not at all.
    """
    found: dict[str, ClusterDocument] = {}
    with prefect_api() as client:
        for names in _batches(clusters):
            keys = {_document_key(name): name for name in names}
            wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=list(keys)))
            for artifact in client.read_latest_artifacts(artifact_filter=wanted, limit=_BATCH):
                document = read_document(ClusterDocument, str(artifact.data))
                if document is not None:
                    found[keys[artifact.key]] = document
    return found


def silent_first(clusters: Iterable[str], known: Mapping[str, ClusterDocument]) -> list[str]:
    """Who did not answer last time, then the others: the timeouts pass while those are looked at."""
    silent = {name for name, one in known.items() if one.result.state is VerificationState.UNREACHABLE}
    return sorted(clusters, key=lambda name: name not in silent)


def with_last_time(
    results: Iterable[ClusterVerification], known: dict[str, ClusterDocument]
) -> tuple[ClusterVerification, ...]:
    """Results that tell of clusters that could not be verified when they last were."""
    with prefect_api() as client:
        wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[f"{FLEET_KEY}-json"]))
        last = [
            document
            for artifact in client.read_latest_artifacts(artifact_filter=wanted, limit=1)
            if (document := read_document(FleetVerification, str(artifact.data))) is not None
        ]
    times = {name: document.result.verified_at for name, document in known.items()}
    times |= {one.cluster: one.verified_at for fleet in last for one in fleet.clusters if one.verified_at}
    return tuple(
        one if one.verified_at else one.model_copy(update={"verified_at": times.get(one.cluster)})
        for one in results
    )


def publish(
    fleet: FleetVerification,
    verified: Iterable[Verified],
    known: dict[str, ClusterDocument],
    handed_on: Sequence[str] = (),
) -> None:
    """Write the fleet's status, and the pages of the clusters about which there is something to say.

    Args:
        fleet: What was found.
        verified: The same with what follows from it, in the same order.
        known: The last document of each cluster.
        handed_on: What became of metrics and report.
    """
    create_markdown_artifact(fleet_status(fleet, handed_on), key=FLEET_KEY, description=fleet.summary())
    create_markdown_artifact(fenced(fleet), key=f"{FLEET_KEY}-json", description="The same for machines")
    documents = [
        ClusterDocument(result=result, memory=one.memory)
        for result, one in zip(fleet.clusters, verified, strict=True)
    ]
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        pending = [
            # Artifacts belong to the run that the context names.
            pool.submit(
                copy_context().run, _publish_cluster, document, known.get(document.result.cluster), fleet
            )
            for document in documents
        ]
    for one in pending:
        one.result()


def _publish_cluster(
    document: ClusterDocument, before: ClusterDocument | None, fleet: FleetVerification
) -> None:
    result = document.result
    is_news = _is_worth_a_page(document, before)
    if is_news:
        key, text = _CLUSTER_KEY.format(result.cluster), f"{result.cluster}: {result.state}"
        create_markdown_artifact(cluster_page(result, fleet.at), key=key, description=text)
    if is_news or before is None or document.memory != before.memory:
        create_markdown_artifact(
            fenced(document), key=_document_key(result.cluster), description="The same for machines"
        )


def _is_worth_a_page(document: ClusterDocument, before: ClusterDocument | None) -> bool:
    """A cluster that was fine and is fine stands in the fleet's table alone, hour after hour."""
    if before is None or document.result.items or document.result.error:
        return True
    return document.memory.items != before.memory.items or bool(before.result.error)


def _document_key(cluster: str) -> str:
    return f"{_CLUSTER_KEY.format(cluster)}-json"


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
