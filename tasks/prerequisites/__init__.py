"""Reads what OCI and a cluster have of the prerequisites (runbook section E) and reports on it."""
