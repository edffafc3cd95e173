"""Prefect tasks: each takes a block, calls a client, lets core decide and returns a frozen result."""
