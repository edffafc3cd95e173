"""Carries a rollout out: its gate, the lock on a cluster, and the driver of its waves."""
