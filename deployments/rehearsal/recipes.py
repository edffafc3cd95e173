"""Which Go programs the rehearsal is made of: modules, packages, build flags. go.mod has the versions."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_GO_FOLDER = Path(__file__).parent / "go"
_OLM = "github.com/operator-framework/operator-lifecycle-manager"
_OLM_PROGRAMS = {
    f"{_OLM}/cmd/olm": "olm",
    f"{_OLM}/cmd/catalog": "catalog",
    f"{_OLM}/cmd/package-server": "package-server",
}

KUBERNETES_VERSION = "v1.36.3"
"""The Kubernetes release in default/go.mod. The version is not in its sources: the linker puts it in."""

# Without this the API server says 0.0.0 and OLM refuses every CSV that has a minKubeVersion.
_KUBERNETES_STAMP = (
    f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
    "-X k8s.io/component-base/version.gitMajor=1",
    "-X k8s.io/component-base/version.gitMinor=36",
)
# The linker leaves out what debuggers need (-s -w): not making it at all saves 7 % of a build's CPU time. Go
# compiles as many packages at a time as there are processors: no threads besides (-c=1) save another 5 %.
_COMPILER_FLAGS = "-gcflags=all=-dwarf=false -c=1"
# opm's own Makefile builds with these; the two drivers need C libraries.
_OPM_TAGS = (
    "containers_image_openpgp",
    "exclude_graphdriver_btrfs",
    "exclude_graphdriver_devicemapper",
    "json1",
)


class GoModule(StrEnum):
    """What is built at one go."""

    DEFAULT = "default"
    """Kubernetes, etcd, KWOK, OLM 0.46.0 and opm."""
    OLM_0_20_0 = "olm020"
    """OLM 0.20.0."""
    KUBECTL = "kubectl"
    """kubectl of the same Kubernetes release, for comparisons with the runbook."""
    METRICS_SERVER = "metrics-server"
    """The metrics server, in a module of its own: with the libraries of the default one 0.8.0 panics."""
    CFSSL = "cfssl"
    """cfssl and cfssljson, for comparisons with the runbook."""
    PUSHGATEWAY = "pushgateway"
    """The Pushgateway of the Prometheus project, for tests of what is pushed to one."""


@dataclass(frozen=True)
class DataFiles:
    """Files of a Go module that are put beside the programs.

    Attributes:
        module: The module's path; its version is the one in go.mod.
        patterns: Which files, as glob patterns relative to the module.
    """

    module: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """How one set of programs is built.

    Attributes:
        module: Its name.
        folder: Where its go.mod and go.sum are.
        programs: The main packages and the names that their programs get.
        linker_flags: For `go build -ldflags`.
        tags: For `go build -tags`.
        data_files: Files that are put beside the programs, by the name of their folder.
    """

    module: GoModule
    folder: Path
    programs: Mapping[str, str]
    linker_flags: tuple[str, ...] = ("-s", "-w")
    tags: tuple[str, ...] = ()
    data_files: Mapping[str, DataFiles] = field(default_factory=dict)

    @property
    def build_flags(self) -> tuple[str, ...]:
        """The flags of `go build`; the first is for `go list` as well."""
        return (f"-tags={','.join(self.tags)}", f"-ldflags={' '.join(self.linker_flags)}", _COMPILER_FLAGS)

    def go_line(self) -> str:
        """The lowest Go version that go.mod accepts, such as `1.26.3`."""
        lines = (self.folder / "go.mod").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("go "))

    def key(self, go_version: str) -> str:
        """Twelve hex digits that change with everything that decides what is built."""
        digest = hashlib.sha256()
        parts = (
            (self.folder / "go.mod").read_bytes(),
            (self.folder / "go.sum").read_bytes(),
            repr((dict(self.programs), self.build_flags, dict(self.data_files), go_version)).encode(),
        )
        for part in parts:
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()[:12]


_OLM_CRDS = DataFiles("github.com/operator-framework/api", ("crds/*.yaml",))
_NODE_STAGES = DataFiles(
    "sigs.k8s.io/kwok",
    ("kustomize/stage/node/fast/node-*.yaml", "kustomize/stage/node/heartbeat-with-lease/node-*.yaml"),
)

RECIPES: Mapping[GoModule, Recipe] = {
    recipe.module: recipe
    for recipe in (
        Recipe(
            GoModule.DEFAULT,
            _GO_FOLDER / "default",
            {
                "k8s.io/kubernetes/cmd/kube-apiserver": "kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-controller-manager": "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-scheduler": "kube-scheduler",
                "go.etcd.io/etcd/server/v3": "etcd",
                "sigs.k8s.io/kwok/cmd/kwok": "kwok",
                "github.com/operator-framework/operator-registry/cmd/opm": "opm",
                **_OLM_PROGRAMS,
            },
            ("-s", "-w", *_KUBERNETES_STAMP),
            _OPM_TAGS,
            {"kwok-stages": _NODE_STAGES, "olm-crds": _OLM_CRDS},
        ),
        Recipe(GoModule.OLM_0_20_0, _GO_FOLDER / "olm020", _OLM_PROGRAMS, data_files={"olm-crds": _OLM_CRDS}),
        Recipe(
            GoModule.KUBECTL,
            _GO_FOLDER / "default",
            {"k8s.io/kubernetes/cmd/kubectl": "kubectl"},
            ("-s", "-w", *_KUBERNETES_STAMP),
            _OPM_TAGS,
        ),
        Recipe(
            GoModule.METRICS_SERVER,
            _GO_FOLDER / "metrics-server",
            {"sigs.k8s.io/metrics-server/cmd/metrics-server": "metrics-server"},
        ),
        Recipe(
            GoModule.CFSSL,
            _GO_FOLDER / "cfssl",
            {
                "github.com/cloudflare/cfssl/cmd/cfssl": "cfssl",
                "github.com/cloudflare/cfssl/cmd/cfssljson": "cfssljson",
            },
        ),
        Recipe(
            GoModule.PUSHGATEWAY,
            _GO_FOLDER / "pushgateway",
            {"github.com/prometheus/pushgateway": "pushgateway"},
        ),
    )
}
"""Every recipe."""
