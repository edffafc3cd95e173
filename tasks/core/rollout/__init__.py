"""Rolling out over a fleet in waves: which cluster is in which wave, and what may happen next.

The words are Open Cluster Management's (rollout strategy of ManifestWorkReplicaSet and Placement).
"""
