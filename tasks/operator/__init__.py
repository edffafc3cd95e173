"""The operator through OLM, from its namespace to its ClusterServiceVersion (R4–R7)."""
