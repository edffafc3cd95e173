"""Verifies clusters of a fleet: reads each one, compares, remembers, reports and tells others."""
