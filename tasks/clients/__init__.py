"""The outside world without Prefect: Kubernetes API, OCI tenancies, OCI registries, downloads."""
