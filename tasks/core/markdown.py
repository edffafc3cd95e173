"""GitHub-flavoured Markdown from plain text: nothing that a cluster says can format or inject anything.

Rules: GitHub Flavored Markdown Spec 4.10 (tables) and 6.1 (backslash escapes).
"""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"[\\|*`\[\]<>&~!#]")
# An underscore inside a word is no emphasis, and names are full of them.
_EDGE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escaped(text: str) -> str:
    """Text that renders as itself inside a table cell or a paragraph; line breaks become `<br>`."""
    plain = " ".join(text.replace("\r\n", "\n").replace("\r", "\n").split(" ")).strip()
    safe = _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), plain)
    safe = _EDGE_UNDERSCORE.sub(r"\\_", safe)
    return re.sub(r"\s*\n\s*", "<br>", safe)


def counted(count: int, noun: str) -> str:
    """A number with its noun, `1 cluster` or `2 clusters`; for nouns whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every cell is escaped."""
    lines = [_row(headers), _row(["---"] * len(headers), escape=False), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def bullets(items: Iterable[str]) -> str:
    """A list; every item is escaped."""
    return "".join(f"- {escaped(item)}\n" for item in items)


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(escaped(cell) if escape else cell for cell in cells) + " |"
