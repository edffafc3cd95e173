"""The documents name what exists: coverage of the manual page (R1–R28), pictures, links."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COVERAGE = ROOT / "docs" / "coverage.md"
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if path.name != "CHANGELOG.md"
)


def _rows() -> dict[str, list[str]]:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in COVERAGE.read_text().splitlines()
    ]
    return {row[0]: row for row in cells if re.fullmatch(r"R\d+", row[0])}


def test_every_step_of_the_manual_page_has_its_row() -> None:
    assert list(_rows()) == [f"R{number}" for number in range(1, 29)]


def test_every_path_of_the_coverage_table_exists() -> None:
    named = {
        path
        for row in _rows().values()
        for path in re.findall(r"`((?:tests|tasks|flows|blocks|deployments)/[^`]*)`", "|".join(row))
    }

    missing = sorted(path for path in named if not any(ROOT.glob(_pattern(path))))

    assert len(named) > 30
    assert missing == []


def test_every_step_is_named_by_a_test() -> None:
    others = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    texts = [path.read_text() for path in others]
    named = {int(number) for text in texts for number in _steps_named(text)}

    assert sorted(set(range(1, 29)) - named) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]

    assert [link for link in local if not (document.parent / link).exists()] == []


def _pattern(path: str) -> str:
    """Braces and a folder's slash, as a shell would read them: one of the alternatives is enough."""
    return re.sub(r"\{[^}]*\}", "*", path).rstrip("/")


def _steps_named(text: str) -> set[int]:
    """R7 names a step, R4–R6 or R4-R6 the steps from one to the other."""
    ranges = re.findall(r"\bR(\d+)[–-]R?(\d+)\b", text)
    between = {number for first, last in ranges for number in range(int(first), int(last) + 1)}
    return between | {int(number) for number in re.findall(r"\bR(\d+)\b", text)}
