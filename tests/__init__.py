"""Tests: core tables, and everything else against the rehearsal's real control plane."""
