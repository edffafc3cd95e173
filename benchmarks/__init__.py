"""Measurements with real programs; each module writes its numbers into docs/."""
