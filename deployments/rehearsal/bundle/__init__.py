"""Our own registry+v1 bundle of the OCI Service Operator 1.1.9, for the rehearsal.

Names, kinds, versions, webhooks, Services, environment and permissions are those of Oracle's bundle; the
schemas are small ones of our own. OLM treats both alike.
"""

from deployments.rehearsal.bundle.writing import bundle_files, write_bundle

__all__ = ["bundle_files", "write_bundle"]
