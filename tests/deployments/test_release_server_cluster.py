"""What the release server gives out is accepted by the real programs: the API server and opm."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deployments.rehearsal.bundle.writing import bundle_files as rehearsal_bundle_files
from deployments.rehearsal.programs import OlmVersion, Programs
from deployments.rehearsal.releases.files import METRICS_SERVER_PATH, ReleaseFiles, crds_from_modules
from tasks.clients.files import read_bundle_folder
from tasks.core.bundles import read_bundle
from tasks.core.catalogs import render_catalog
from tests.support.bundle_files import NEEDS_REAL_BUNDLE, REAL_BUNDLE, bundle_files
from tests.support.control_planes import FreshControlPlane

pytestmark = pytest.mark.cluster


def _validate(programs: Programs, files: Mapping[str, bytes], folder: Path) -> tuple[int, bytes]:
    (folder / "catalog.json").write_text(render_catalog(read_bundle(files, "test")))
    return _run([str(programs.path("opm")), "validate", str(folder)])


def test_opm_accepts_the_catalog_of_a_small_bundle(programs: Programs, tmp_path: Path) -> None:
    assert _validate(programs, bundle_files(), tmp_path) == (0, b"")


def test_opm_accepts_the_catalog_of_the_rehearsals_bundle(programs: Programs, tmp_path: Path) -> None:
    files = {path: content.encode() for path, content in rehearsal_bundle_files().items()}

    assert _validate(programs, files, tmp_path) == (0, b"")


@pytest.mark.real_bundle
@NEEDS_REAL_BUNDLE
def test_opm_accepts_the_catalog_of_the_real_bundle(programs: Programs, tmp_path: Path) -> None:
    """R6: OSOK 1.1.9 is served to OLM through our own catalog."""
    assert _validate(programs, read_bundle_folder(REAL_BUNDLE), tmp_path) == (0, b"")


@pytest.mark.parametrize("version", list(OlmVersion))
def test_the_api_server_accepts_every_object_of_a_release(
    fresh_control_plane: FreshControlPlane, kubectl: Path, version: OlmVersion
) -> None:
    """R2 and R11: CRDs first, then the rest, with every field known to the API server."""
    run = [str(kubectl), "--kubeconfig", str(fresh_control_plane().kubeconfig)]
    create = [*run, "create", "--validate=strict", "-f", "-"]
    files = ReleaseFiles(crds_from_modules)

    crds = _run(create, files.find(f"/olm/{version.value}/crds.yaml"))
    established = _run([*run, "wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"])
    olm = _run(create, files.find(f"/olm/{version.value}/olm.yaml"))
    metrics_server = _run(create, files.find(METRICS_SERVER_PATH))

    assert [crds, established, olm, metrics_server] == [(0, b"")] * 4


def _run(command: list[str], content: bytes | None = None) -> tuple[int, bytes]:
    done = subprocess.run(command, input=content, capture_output=True, check=False)  # noqa: S603 - our own programs
    return done.returncode, done.stderr
