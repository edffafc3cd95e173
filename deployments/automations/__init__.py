"""Automations of the Prefect server, as files, and the program that installs them.

Each `*.yaml` here is an automation in Prefect's own words, except for three values that stand for something
that only a server, or the person who installs it, knows:

- `block_document_id: $notify` is the notification block of `--notify`;
- `deployment_id: FLOW/DEPLOYMENT` is that deployment's id;
- `within: $gate-waits` and `within: $silent-for` are the durations of these options.
"""
