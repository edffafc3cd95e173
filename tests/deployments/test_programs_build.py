"""Building programs: complete or not at all, once at a time, and with Go's own words when it fails."""

import signal
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from deployments.rehearsal.build import Builder, BuildError
from deployments.rehearsal.programs import cache_folder
from deployments.rehearsal.recipes import GoModule, Recipe
from deployments.rehearsal.toolchain import GoToolchain, ToolchainError, find_go, wheel_version

HELLO = 'package main\n\nfunc main() { println("hello") }\n'


@pytest.fixture(scope="module")
def go() -> GoToolchain:
    return find_go("1.26.0", cache_folder(), lambda _line: None)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A program without dependencies, so that nothing is downloaded; the name v2 as etcd's package has."""
    folder = tmp_path / "module"
    (folder / "hello" / "v2").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.test\n\ngo 1.26.0\n")
    (folder / "go.sum").write_text("")
    (folder / "hello" / "v2" / "main.go").write_text(HELLO)
    return Recipe(GoModule.CFSSL, folder, {"example.test/hello/v2": "greeter"})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def builder(go: GoToolchain, tmp_path: Path, said: list[str]) -> Builder:
    return Builder(go, tmp_path / "cache", said.append)


def finished(builder: Builder) -> list[Path]:
    return [folder for folder in builder.cache.iterdir() if folder.is_dir()]


def test_a_program_gets_the_name_of_the_recipe_and_runs(builder: Builder, recipe: Recipe) -> None:
    program = builder.build(recipe) / "greeter"

    answer = subprocess.run([program], capture_output=True, text=True, check=True)  # noqa: S603 - built here

    assert answer.stderr == "hello\n"


def test_a_finished_build_is_used_again(builder: Builder, recipe: Recipe, said: list[str]) -> None:
    first = builder.build(recipe)
    said.clear()

    assert builder.build(recipe) == first
    assert said == []


def test_the_progress_counts_modules_packages_and_programs(
    builder: Builder, recipe: Recipe, said: list[str]
) -> None:
    builder.build(recipe)

    assert said[0].startswith("cfssl: 0 modules downloaded, ")
    assert "packages compiled" in said[1]
    assert "1 of 1 programs linked" in said[1]
    assert said[-1].startswith("cfssl: built, ")


def test_a_failed_build_says_what_go_said_and_leaves_nothing(builder: Builder, recipe: Recipe) -> None:
    (recipe.folder / "hello" / "v2" / "main.go").write_text("package main\n\nfunc main() { missing() }\n")

    with pytest.raises(BuildError, match="undefined: missing"):
        builder.build(recipe)

    assert finished(builder) == []


def test_a_package_that_is_not_there_is_named(builder: Builder, recipe: Recipe) -> None:
    absent = Recipe(GoModule.CFSSL, recipe.folder, {"example.test/absent": "absent"})

    with pytest.raises(BuildError, match=r"example\.test/absent"):
        builder.build(absent)


def test_two_builders_build_it_once(builder: Builder, recipe: Recipe, said: list[str]) -> None:
    threads = [Thread(target=builder.build, args=(recipe,)) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line.partition(",")[0] for line in said].count("cfssl: built") == 1


def slow_go(folder: Path, go: GoToolchain) -> Path:
    """A `go` that answers like the real one, but never finishes a build."""
    program = folder / "slow-go"
    lines = ["#!/bin/sh", 'if [ "$1" = build ]; then', "  touch building", "  exec sleep 1000", "fi"]
    program.write_text("\n".join([*lines, f'exec "{go.program}" "$@"', ""]))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


INTERRUPTED = """
import sys
from pathlib import Path
from deployments.rehearsal.build import Builder
from deployments.rehearsal.recipes import GoModule, Recipe
from deployments.rehearsal.toolchain import GoToolchain
recipe = Recipe(GoModule.CFSSL, Path(sys.argv[1]), {"example.test/hello/v2": "greeter"})
go = GoToolchain(Path(sys.argv[2]), sys.argv[3])
Builder(go, Path(sys.argv[4]), lambda line: None).build(recipe)
"""


def test_a_killed_build_is_not_taken_for_a_finished_one(
    builder: Builder, recipe: Recipe, go: GoToolchain, tmp_path: Path
) -> None:
    slow = slow_go(tmp_path, go)
    arguments = [str(recipe.folder), str(slow), go.version, str(builder.cache)]
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, *arguments]) as killed:  # noqa: S603 - ours
        while not (recipe.folder / "building").exists():
            assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
    assert [folder.name[0] for folder in finished(builder)] == ["."]

    built = builder.build(recipe)

    assert finished(builder) == [built]
    assert [file.name for file in built.iterdir()] == ["greeter"]


def test_a_module_that_go_mod_does_not_require_is_named(go: GoToolchain, recipe: Recipe) -> None:
    with pytest.raises(ToolchainError, match=r"example\.test/data"):
        go.module_folder("example.test/data", "", recipe.folder)


def test_a_go_that_is_new_enough_is_taken_from_the_search_path(go: GoToolchain, tmp_path: Path) -> None:
    (tmp_path / "go").symlink_to(go.program)

    found = find_go(go.version, tmp_path / "cache", lambda _line: None, str(tmp_path))

    assert found == GoToolchain(tmp_path / "go", go.version)


def old_go(folder: Path) -> None:
    (folder / "go").write_text("#!/bin/sh\necho go1.9.7\n")
    (folder / "go").chmod(0o755)


def test_a_go_that_is_too_old_is_replaced_by_the_wheel(tmp_path: Path, said: list[str]) -> None:
    old_go(tmp_path)

    found = find_go("1.26.0", cache_folder(), said.append, str(tmp_path))

    assert found.version == wheel_version()
    assert found.program.is_relative_to(cache_folder())
    assert said[0] == "go 1.9.7 on the search path is older than 1.26.0"
