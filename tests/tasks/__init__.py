"""Tasks on the rehearsal's real control plane."""
