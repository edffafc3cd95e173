"""OCI tenancies through the official SDK, read as facts: `calls` sends, the others know one service each.

Importing this package does not import the SDK; the first call does.
"""
