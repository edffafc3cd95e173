"""Where each cluster is worked on: in tasks of one flow run, or in a flow run of its own."""
