"""Loads the blocks that parameters and other blocks name."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

from prefect.blocks.core import Block
from pydantic import ValidationError

from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import InputError

B = TypeVar("B", bound=Block)
_FEW = 10
"""Up to here one request for each block costs less than one for all blocks of the type."""


def load_block(block_type: type[B], name: str) -> B:
    """Load a block that a parameter or another block names.

    Raises:
        InputError: There is no block of that type and name.
    """
    loaded = find_block(block_type, name)
    if loaded is None:
        raise InputError(
            f"load the block {name!r}",
            block_type.get_block_type_slug(),
            "a saved block of that type and name",
            "none",
            "Create it in the Prefect UI under Blocks, or correct the name.",
        )
    return loaded


def find_block(block_type: type[B], name: str) -> B | None:
    """Load a block; None when there is none of that type and name."""
    try:
        loaded = block_type.load(name)
    except ValueError:
        return None
    if not isinstance(loaded, block_type):
        raise TypeError(f"Block.load returned {type(loaded).__name__}: it was called in an event loop")
    return loaded


def load_many(block_type: type[B], names: Iterable[str]) -> dict[str, B]:
    """The blocks of these names in one request; one that does not exist, or cannot be read, is left out.

    Of a few names it returns none: load them one by one.
    """
    wanted = frozenset(names)
    if len(wanted) <= _FEW:
        return {}
    with prefect_api() as client:
        slug = block_type.get_block_type_slug()
        documents = client.read_block_documents_by_type(slug, include_secrets=True)
    loaded = {}
    for document in documents:
        if document.name in wanted:
            with suppress(ValidationError):
                loaded[document.name] = block_type._from_block_document(document)  # noqa: SLF001 - as Block.load does
    return loaded
