"""`python -m deployments.evidence FILE [--head DIGEST]`: check a run's evidence, offline (issue: evidence).

Exit code 0: the chain is intact. 1: it is not, or is not the one whose digest was kept. 2: it cannot be read.
"""

import argparse
import sys
from pathlib import Path

from tasks.core.errors import InputError
from tasks.core.evidence import EvidenceRecord, EvidenceState, head_of, read_records, verify

INTACT, CHANGED, UNREADABLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Check the hash chain of a run's evidence and say what it holds; needs no network and no Prefect."""
    parser = argparse.ArgumentParser(prog="python -m deployments.evidence", description=main.__doc__)
    parser.add_argument(
        "file", type=Path, help="the records: evidence.jsonl, a saved artifact, or the folder of a flow run"
    )
    parser.add_argument(
        "--head", default="", help="the last digest that was kept elsewhere; without it, no cut end is seen"
    )
    chosen = parser.parse_args(arguments)
    try:
        records = read_records(_text(chosen.file))
    except (OSError, UnicodeDecodeError) as error:
        return _say(f"UNREADABLE {chosen.file}: {type(error).__name__}", UNREADABLE)
    except InputError as error:
        return _say(f"UNREADABLE {chosen.file}: {error}", UNREADABLE)
    verdict = verify(records, chosen.head)
    if verdict.state is EvidenceState.INTACT:
        return _say(_summary(records, chosen.head), INTACT)
    place = f" at record {verdict.position}" if verdict.position >= 0 else ""
    return _say(f"{verdict.state}{place}: {verdict.message}", CHANGED)


def _text(path: Path) -> str:
    """The records of a file, or of a folder with a file each; the fence of a saved artifact is left out."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    lines = "".join(file.read_text(encoding="utf-8") for file in files).split("\n")
    return "\n".join(line for line in lines if not line.startswith("```"))


def _summary(records: tuple[EvidenceRecord, ...], head: str) -> str:
    lines = [f"{record.position:4} {record.at} {record.event:<11} {record.subject}" for record in records]
    compared = "as it was kept" if head else "compare it with the one that was kept, or give it with --head"
    return "\n".join([*lines, f"INTACT {len(records)} records, last digest {head_of(records)}: {compared}"])


def _say(text: str, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
