"""Which programs the rehearsal is made of, and where they are found."""

from pathlib import Path

import pytest

from deployments.rehearsal.programs import GoModule, OlmVersion, Programs, ensure_programs, module_folder
from deployments.rehearsal.recipes import RECIPES, Recipe
from deployments.rehearsal.toolchain import wheel_version
from tasks.core.errors import PrerequisiteError


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def go_module(folder: Path) -> Recipe:
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module example.test/hello\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("")
    return Recipe(GoModule.CFSSL, folder, {"example.test/hello": "hello"})


def test_every_module_can_be_built_with_the_go_of_the_wheel() -> None:
    too_new = [
        module for module, recipe in RECIPES.items() if numbers(recipe.go_line()) > numbers(wheel_version())
    ]

    assert too_new == []


@pytest.mark.parametrize(
    ("module", "pinned"),
    [
        (GoModule.DEFAULT, "k8s.io/kubernetes v1.36.3"),
        (GoModule.DEFAULT, "go.etcd.io/etcd/server/v3 v3.6.15"),
        (GoModule.DEFAULT, "sigs.k8s.io/kwok v0.8.0"),
        (GoModule.DEFAULT, "github.com/operator-framework/operator-lifecycle-manager v0.46.0"),
        (GoModule.DEFAULT, "github.com/operator-framework/operator-registry v1.73.0"),
        (GoModule.OLM_0_20_0, "github.com/operator-framework/operator-lifecycle-manager v0.20.0"),
        (GoModule.METRICS_SERVER, "sigs.k8s.io/metrics-server v0.8.0"),
        (GoModule.CFSSL, "github.com/cloudflare/cfssl v1.6.5"),
        (GoModule.PUSHGATEWAY, "github.com/prometheus/pushgateway v1.11.1"),
    ],
)
def test_versions_are_pinned(module: GoModule, pinned: str) -> None:
    assert f"\t{pinned} // indirect\n" in (RECIPES[module].folder / "go.mod").read_text()


def test_the_key_of_a_build_changes_with_what_is_built(tmp_path: Path) -> None:
    recipe = go_module(tmp_path / "first")
    other_flags = Recipe(recipe.module, recipe.folder, recipe.programs, linker_flags=("-s",))
    before = recipe.key("1.26.6")

    (recipe.folder / "go.sum").write_text("something else\n")

    keys = {before, recipe.key("1.26.6"), recipe.key("1.26.7"), other_flags.key("1.26.6")}
    assert len(keys) == 4


def test_the_key_of_a_build_is_the_same_in_every_checkout(tmp_path: Path) -> None:
    assert go_module(tmp_path / "one").key("1.26.6") == go_module(tmp_path / "two").key("1.26.6")


def test_a_program_of_another_module_goes_before_the_default(tmp_path: Path) -> None:
    default, older = tmp_path / "default", tmp_path / "olm020"
    for folder in (default, older):
        folder.mkdir()
        (folder / "olm").touch()
    (default / "etcd").touch()

    programs = Programs(default, (older,))

    assert programs.path("olm") == older / "olm"
    assert programs.path("etcd") == default / "etcd"


def test_a_program_that_was_not_built_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="kubectl"):
        Programs(tmp_path).path("kubectl")


@pytest.mark.cluster
@pytest.mark.parametrize(
    "program",
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kwok", "opm", "olm", "catalog"],
)
def test_the_default_set_has_every_program(programs: Programs, program: str) -> None:
    assert programs.path(program).stat().st_mode & 0o111


@pytest.mark.cluster
def test_olm_brings_its_eight_custom_resources(programs: Programs) -> None:
    assert len(programs.files("olm-crds")) == 8


@pytest.mark.cluster
def test_building_again_builds_nothing(programs: Programs) -> None:
    said: list[str] = []

    assert ensure_programs(OlmVersion.V0_46_0, said.append) == programs
    assert said == []


@pytest.mark.olm020
def test_the_older_olm_brings_programs_and_custom_resources_of_its_own(
    programs: Programs, programs_olm020: Programs
) -> None:
    assert programs_olm020.path("olm") != programs.path("olm")
    assert programs_olm020.files("olm-crds") != programs.files("olm-crds")
    assert programs_olm020.path("etcd") == programs.path("etcd")


@pytest.mark.cluster
def test_the_sources_of_a_module_can_be_had() -> None:
    sources = module_folder("sigs.k8s.io/kwok", "v0.8.0")

    assert (sources / "kustomize" / "stage").is_dir()
