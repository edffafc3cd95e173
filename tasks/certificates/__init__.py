"""The webhook certificate on a cluster: request, decision, signature, publication and proof (R12–R22)."""
