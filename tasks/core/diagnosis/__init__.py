"""Explains why an installation through OLM does not move, from the objects of the cluster alone (R7)."""

from tasks.core.diagnosis.causes import Cause, CauseKind, ranked
from tasks.core.diagnosis.observation import StallObservation
from tasks.core.diagnosis.pods import image_pull_advice
from tasks.core.diagnosis.stalls import diagnose, stalled_error

__all__ = [
    "Cause",
    "CauseKind",
    "StallObservation",
    "diagnose",
    "image_pull_advice",
    "ranked",
    "stalled_error",
]
