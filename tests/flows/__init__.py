"""Flows end to end on the rehearsal's real control plane."""
