"""How the flows are put to work: work pools, RBAC, production manifests, and the rehearsal world."""
