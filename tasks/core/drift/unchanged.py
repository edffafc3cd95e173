"""Objects that need not be read again: unchanged since they were compared and found as they should be.

`resourceVersion` changes with every write of an object, its status included, and means the same state when it
is equal (Kubernetes API concepts, "Resource versions"). So the metadata of a large object says whether its
content is still what was compared. It is asked for at every verification; what is remembered is never the
answer itself.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA
from tasks.core.manifests import Manifest, ObjectRef

_TRUSTED_FOR = timedelta(days=1)
"""Then everything is read again: a new release of ours may compare otherwise, and a cluster that was restored
from a backup counts its versions from an older one on."""


class ComparedVersions(BaseModel):
    """The versions of large objects that were compared and about which nothing was to be said."""

    model_config = DATA

    expected: str = Field(description="SHA-256 of the manifests that they were compared with")
    read_at: datetime = Field(description="When all of them were last read")
    versions: Mapping[str, str] = Field(description="uid/resourceVersion by kind and name")

    def usable(self, expected: str, now: datetime) -> bool:
        """Whether they are about the same manifests, and not too old."""
        return self.expected == expected and timedelta(0) <= now - self.read_at < _TRUSTED_FOR

    def holds(self, ref: ObjectRef, live: Manifest | None) -> bool:
        """Whether an object is the one that was compared, in the same version."""
        return live is not None and self.versions.get(str(ref)) == version_of(live)


def version_of(live: Manifest) -> str:
    """The uid and resourceVersion of an object, which comes back under another uid when it was deleted."""
    metadata = live["metadata"]
    return f"{metadata['uid']}/{metadata['resourceVersion']}"


def compared_versions(
    expected: str, read_at: datetime, fine: Iterable[tuple[ObjectRef, Manifest | None]]
) -> ComparedVersions:
    """What is remembered of objects that were found as they should be.

    Args:
        expected: SHA-256 of what they were compared with.
        read_at: When all of them were last read.
        fine: The objects, with None for those that are not there.
    """
    versions = {str(ref): version_of(live) for ref, live in fine if live is not None}
    return ComparedVersions(expected=expected, read_at=read_at, versions=versions)
