"""The releases listing of the OCI Service Operator, as GitHub's REST API would give it."""

from tasks.core.manifests import Manifest

REPOSITORY = "oracle/oci-service-operator"


def releases() -> list[Manifest]:
    """Newest first: a draft, prereleases of the line without OCI Service Mesh, and the 1.x line."""
    return [
        _release("v2.0.0", published="", draft=True),
        _release("v2.0.0-alpha.2", published="2025-06-02T10:00:00Z", prerelease=True),
        _release("v2.0.0-alpha", published="2025-03-03T10:00:00Z", prerelease=True),
        *(_release(f"v1.1.{patch}", published="2023-07-06T10:00:00Z") for patch in range(9, 0, -1)),
        _release("v1.1.0", published="2022-09-01T10:00:00Z"),
        _release("v1.0.0", published="2021-08-01T10:00:00Z"),
    ]


def _release(tag: str, published: str, *, draft: bool = False, prerelease: bool = False) -> Manifest:
    return {
        "tag_name": tag,
        "name": tag,
        "draft": draft,
        "prerelease": prerelease,
        "published_at": published or None,
        "assets": [],
    }
