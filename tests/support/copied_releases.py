"""The rehearsal's release as somebody keeps it who has copied all of its images into one registry."""

from pathlib import Path

import httpx

from deployments.rehearsal.bundle.writing import bundle_files
from deployments.rehearsal.images import Image
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases import ReleaseServer
from tasks.core.manifests import sha256_hex
from tasks.core.settings import (
    BundleSource,
    CatalogChoice,
    MetricsServerChoice,
    MetricsServerMode,
    OlmRelease,
    OperatorChoice,
    ReleaseChoice,
)


def copied_release(server: ReleaseServer, folder: Path) -> ReleaseChoice:
    """Write bundle and manifests into a folder; they name images of the server's registry, which has none."""
    for path, text in bundle_files().items():
        _write(folder / "bundle" / path, text, server)
    olm = server.olm_file(OlmVersion.V0_46_0, "olm.yaml")
    crds = server.olm_file(OlmVersion.V0_46_0, "crds.yaml")
    metrics = server.metrics_server_file()
    pins = {
        name: _write(folder / name, httpx.get(url).text, server)
        for name, url in (("olm.yaml", olm.url), ("crds.yaml", crds.url), ("metrics.yaml", metrics.url))
    }
    return ReleaseChoice(
        operator=OperatorChoice(
            bundle_source=BundleSource.DIRECTORY,
            bundle=str(folder / "bundle"),
            catalog=CatalogChoice(opm_image=_moved(Image.OPM.value, server)),
        ),
        olm=OlmRelease(
            version=OlmVersion.V0_46_0.value,
            location=str(folder),
            crds_sha256=pins["crds.yaml"],
            olm_sha256=pins["olm.yaml"],
        ),
        metrics_server=MetricsServerChoice(
            mode=MetricsServerMode.ENSURE,
            location=str(folder / "metrics.yaml"),
            sha256=pins["metrics.yaml"],
        ),
    )


def _write(path: Path, text: str, server: ReleaseServer) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_moved(text, server))
    return sha256_hex(path.read_bytes())


def _moved(text: str, server: ReleaseServer) -> str:
    for image in Image:
        text = text.replace(image.value, f"{server.registry}/{image.value.partition('/')[2]}")
    return text
