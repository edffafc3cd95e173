"""What a person chooses for a discovery: the typed parameters behind the Prefect form."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.core.errors import InputError
from tasks.core.fleets import Wanted
from tasks.core.label_selectors import parse_selector


class DiscoveryMode(StrEnum):
    """What becomes of what was found."""

    REPORT = "REPORT"
    """It is shown; no block is written."""
    SAVE = "SAVE"
    """The fleet's block and a block per cluster are written too."""


class DiscoveryScope(BaseModel):
    """Where to look for OKE clusters, and which ones are meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compartment_id: str = Field(
        default="",
        pattern=r"^$|^ocid1\.(compartment|tenancy)\.",
        description="Compartment to begin at; those below it are searched too. Empty: the whole tenancy.",
    )
    regions: list[str] = Field(
        default_factory=list,
        description="Regions to search, as eu-frankfurt-1. Empty: the region of each tenancy's block.",
    )
    name_pattern: str = Field(
        default="*", min_length=1, description="Name of the clusters; * and ? stand for any characters."
    )
    selector: str = Field(
        default="",
        description="Kubernetes label selector over free-form tags (env in (prod)), defined tags "
        "(Operations.CostCenter=42), tenancy, region and compartment. Empty: all clusters.",
    )
    deadline: timedelta = Field(
        default=timedelta(minutes=2), gt=timedelta(0), description="How long all reads may take together."
    )

    @field_validator("selector")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        try:
            parse_selector(value)
        except InputError as error:
            raise ValueError(f"{error}") from error
        return value

    def wanted(self) -> Wanted:
        """Which clusters are meant."""
        return Wanted(self.name_pattern, parse_selector(self.selector))
