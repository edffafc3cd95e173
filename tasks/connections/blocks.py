"""Loads the blocks that parameters and other blocks name."""

from typing import TypeVar

from prefect.blocks.core import Block

from tasks.core.errors import InputError

B = TypeVar("B", bound=Block)


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
