"""An amount of clusters: a number, or a share of their wave."""

from typing import Annotated

from pydantic import Field

Amount = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")]
"""A number, or a percentage such as `10%`, as IntOrString in Kubernetes."""


def rounded_up(amount: Amount, total: int) -> int:
    """For what has to be at least one, as maxSurge: 10% of 5 clusters is 1."""
    return amount if isinstance(amount, int) else -(-_percent(amount) * total // 100)


def rounded_down(amount: Amount, total: int) -> int:
    """For what must not be exceeded, as maxUnavailable: 10% of 5 clusters is 0."""
    return amount if isinstance(amount, int) else _percent(amount) * total // 100


def _percent(amount: str) -> int:
    return int(amount.removesuffix("%"))
