"""Finds what flow runs showed: a server gives at most 200 artifacts at once, so they are asked for by key."""

import json
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort

from tasks.core.manifests import Manifest


def artifacts_with(client: SyncPrefectClient, key: str, run_id: UUID | None = None) -> list[Artifact]:
    """The artifacts with that key, of all runs or of one, the newest first."""
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    if run_id is not None:
        wanted.flow_run_id = ArtifactFilterFlowRunId(any_=[run_id])
    return client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)


def newest_artifact(client: SyncPrefectClient, key: str, run_id: UUID | None = None) -> str:
    """The Markdown of the newest of them."""
    return str(artifacts_with(client, key, run_id)[0].data)


def document_in(markdown: str) -> Manifest:
    """The JSON in an artifact that shows a document for programs."""
    found: Manifest = json.loads(markdown.removeprefix("```json\n").rstrip("\n").removesuffix("```"))
    return found
