"""The files that releases consist of, made when they are first asked for."""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from deployments.rehearsal.programs import OlmVersion, module_folder
from deployments.rehearsal.releases.metrics_server import metrics_server_objects
from deployments.rehearsal.releases.olm_objects import olm_objects
from tasks.core.manifests import Manifest

METRICS_SERVER_PATH = "/metrics-server/v0.8.0/high-availability.yaml"
CRDS_FILE = "crds.yaml"
OLM_FILE = "olm.yaml"

_API_MODULE = "github.com/operator-framework/api"
_API_VERSIONS = {OlmVersion.V0_46_0: "v0.45.0", OlmVersion.V0_20_0: "v0.11.0"}


def olm_path(version: OlmVersion, name: str) -> str:
    """The path of a release's `crds.yaml` or `olm.yaml`."""
    return f"/olm/{version.value}/{name}"


def crds_from_modules(version: OlmVersion) -> Sequence[Path]:
    """The CRD files of an OLM release, out of the Go module cache."""
    folder = module_folder(_API_MODULE, _API_VERSIONS[version]) / "crds"
    return sorted(folder.glob("*.yaml"))


class ReleaseFiles:
    """Release files by their path.

    Args:
        olm_crds: Finds the CRD files of an OLM release.
    """

    def __init__(self, olm_crds: Callable[[OlmVersion], Sequence[Path]]) -> None:
        self._olm_crds = olm_crds
        self._makers: dict[str, Callable[[], bytes]] = {
            METRICS_SERVER_PATH: lambda: _yaml(metrics_server_objects()),
            **{olm_path(version, CRDS_FILE): self._crds_maker(version) for version in OlmVersion},
            **{olm_path(version, OLM_FILE): _olm_maker(version) for version in OlmVersion},
        }
        self._made: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def find(self, path: str) -> bytes | None:
        """The content of a file; None when no release has it."""
        maker = self._makers.get(path)
        if maker is None:
            return None
        with self._lock:
            if path not in self._made:
                self._made[path] = maker()
            return self._made[path]

    def _crds_maker(self, version: OlmVersion) -> Callable[[], bytes]:
        return lambda: b"\n---\n".join(path.read_bytes() for path in self._olm_crds(version))


def _olm_maker(version: OlmVersion) -> Callable[[], bytes]:
    return lambda: _yaml(olm_objects(version))


def _yaml(objects: list[Manifest]) -> bytes:
    # A copy through JSON has no shared parts, which YAML would write as anchors.
    copies = [json.loads(json.dumps(manifest)) for manifest in objects]
    return yaml.safe_dump_all(copies, sort_keys=False, explicit_start=True).encode()
