"""Which part of an installation a cluster's flow run does."""

from enum import StrEnum


class InstallationPhase(StrEnum):
    """A part of the installation on one cluster."""

    ALL = "ALL"
    """From OLM to the verified operator, with the certificate that OLM makes."""
    BEFORE_DECISION = "BEFORE_DECISION"
    """What a certificate of one's own is requested on: OLM and the operator's namespace."""
    AFTER_DECISION = "AFTER_DECISION"
    """What the decided certificate is there for: the operator, verified."""
