"""What a step says about itself, and how a cluster ends: small, frozen, and free of secrets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepOutcome:
    """What a step found and did.

    Attributes:
        changed: One line per object that was written; empty when everything was right already.
        detail: One or two sentences for the report, Markdown allowed.
    """

    changed: tuple[str, ...] = ()
    detail: str = ""
