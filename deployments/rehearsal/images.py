"""The container images that the rehearsal's manifests name, and the program that each stands for.

No image is ever pulled in the rehearsal: the node starts the real program instead. The digests of images that
we name ourselves are therefore made up (the SHA-256 of a sentence), fixed here, and equal to nothing public.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Image(StrEnum):
    """An image reference exactly as it stands in a pod's `containers[].image`."""

    OLM_0_46_0 = "quay.io/operator-framework/olm@sha256:5e132912ee710616298498b38e8a6ce1474af45a81c06dc8c1f1cfde3c87bf5f"
    """The three programs of OLM 0.46.0; the container's command says which."""
    OLM_0_20_0 = "quay.io/operator-framework/olm@sha256:18f85b9d8ece85e47b5663c0bab420358a972d387753ecf2fa3f8855c4190b69"
    """The three programs of OLM 0.20.0; the container's command says which."""
    OPM = "quay.io/operator-framework/opm@sha256:32ed2b320b5b3add3bf6949462382044dfad2fb5ee4ebb0d59409ed801cbd9ed"
    """`opm` 1.73.0; the container's args (`serve /configs …`) say what it does."""
    OPERATORHUB_CATALOG = "quay.io/operatorhubio/catalog:latest"
    """The public catalog of the OLM releases; in the rehearsal `opm serve` of a folder without packages."""
    OSOK = "iad.ocir.io/oracle/oci-service-operator:1.1.9"
    """The OCI Service Operator's manager."""
    METRICS_SERVER = "registry.k8s.io/metrics-server/metrics-server:v0.8.0"
    """The metrics server of the Kubernetes project."""


class RunnableProgram(StrEnum):
    """What the node can start for a container."""

    OLM_OPERATOR = "olm"
    CATALOG_OPERATOR = "catalog"
    PACKAGE_SERVER = "package-server"
    OPM = "opm"
    EMPTY_CATALOG = "empty-catalog"
    """`opm serve` of an empty folder on port 50051."""
    OSOK_MANAGER = "osok-manager"
    METRICS_SERVER = "metrics-server"


_OLM_COMMANDS: Mapping[str, RunnableProgram] = {
    "/bin/olm": RunnableProgram.OLM_OPERATOR,
    "/bin/catalog": RunnableProgram.CATALOG_OPERATOR,
    "/bin/package-server": RunnableProgram.PACKAGE_SERVER,
}
_SINGLE_PROGRAM: Mapping[str, RunnableProgram] = {
    Image.OPM: RunnableProgram.OPM,
    Image.OPERATORHUB_CATALOG: RunnableProgram.EMPTY_CATALOG,
    Image.OSOK: RunnableProgram.OSOK_MANAGER,
    Image.METRICS_SERVER: RunnableProgram.METRICS_SERVER,
}


def program_of(image: str, command: Sequence[str] = ()) -> RunnableProgram | None:
    """The program behind a container's image and command; None for an image the rehearsal does not know."""
    if image in (Image.OLM_0_46_0, Image.OLM_0_20_0):
        return _OLM_COMMANDS.get(command[0]) if command else None
    return _SINGLE_PROGRAM.get(image)
