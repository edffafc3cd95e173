"""Documents for machines in Markdown artifacts: written, and read back as what they were."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

_FENCE, _END = "```json\n", "\n```\n"
ModelT = TypeVar("ModelT", bound=BaseModel)


def fenced(document: BaseModel) -> str:
    """A document as the Prefect UI shows it."""
    return f"{_FENCE}{document.model_dump_json(indent=2)}{_END}"


def read_document(model: type[ModelT], text: str) -> ModelT | None:
    """The document of an artifact; None when it is not one of that kind."""
    try:
        return model.model_validate_json(text.removeprefix(_FENCE).removesuffix(_END))
    except ValidationError:
        return None
