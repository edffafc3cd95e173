"""The OCI prerequisites of runbook section E as pure checks: facts in, findings out.

`readings` are the facts, `vaults`, `authorities`, `certificates`, `policies`, `credentials`, `clusters` and
`control_plane` the checks, `findings` the report and `rendering` its two forms.
"""
