"""Pure decisions about manifests, profiles, certificates and prerequisites: no I/O, no clock, no Prefect."""
