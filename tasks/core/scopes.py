"""Which objects the steps of an installation write: all of theirs, or those alone that a repair puts back."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.core.manifests import Manifest, ObjectRef, ref_of


@dataclass(frozen=True)
class WriteScope:
    """What a step may write.

    Attributes:
        only: These objects, and their fields are taken back from whoever wrote them. None: every object of
            the step that differs, and a field that somebody else owns is a conflict.
    """

    only: frozenset[ObjectRef] | None = None

    @property
    def takes_back(self) -> bool:
        """Whether what somebody else wrote is written over: after a policy or a person said so."""
        return self.only is not None

    def covers(self, ref: ObjectRef) -> bool:
        """Whether an object may be written."""
        return self.only is None or ref in self.only

    def select(self, manifests: Iterable[Manifest]) -> list[Manifest]:
        """Those that may be written."""
        return [manifest for manifest in manifests if self.covers(ref_of(manifest))]


EVERYTHING = WriteScope()
"""An installation's: every object, and nothing of others."""
