"""The parts of a control plane: addresses, credentials, command lines, the audit log, signs of life."""
