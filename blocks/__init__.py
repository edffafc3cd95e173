"""Connection data that people edit in the Prefect UI: clusters, registries, tenancies and authorities."""
