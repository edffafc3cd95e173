"""Opens a tenancy from its block."""

from tasks.connections import open_tenancy, sign_in, tenancy_name

__all__ = ["open_tenancy", "sign_in", "tenancy_name"]
