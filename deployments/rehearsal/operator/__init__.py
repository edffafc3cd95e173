"""A stand-in for the OSOK 1.1.9 manager: its admission webhooks and health endpoints, and nothing else.

It answers on the same paths, with the same kind of verdicts and from the same certificate folder as the real
manager, so that an API server cannot tell the difference; it never talks to OCI and reconciles nothing.
"""
