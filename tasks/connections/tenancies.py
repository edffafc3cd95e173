"""Opens a tenancy from its block."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from blocks.oci_tenancy import (
    ApiKey,
    ConfigFile,
    InstancePrincipal,
    OciTenancy,
    ResourcePrincipal,
    SessionToken,
    WorkloadIdentity,
)
from tasks.clients.polling import deadline_at
from tasks.clients.remembering import Memory
from tasks.clients.tenancy import keys, principals
from tasks.clients.tenancy.calls import Address, TenancyCalls
from tasks.clients.tenancy.identity import Identity
from tasks.core.errors import InputError

_identities: Memory[Identity] = Memory(timedelta(seconds=30))
"""Loading a private key takes 80 ms of CPU, and each task of a run needs it; a changed file counts soon."""


def open_tenancy(block: OciTenancy, until: datetime) -> TenancyCalls:
    """Sign in and make a client for the tenancy of a block.

    Args:
        block: The tenancy.
        until: When everything has to be over.

    Raises:
        TenancyError: Everything that is wrong with the way to sign in, in one message.
    """
    endpoint = block.region_endpoints.get(block.region, block.endpoint)
    address = Address(block.region, endpoint, block.ca_file)
    return TenancyCalls(tenancy_name(block), _identity(block), address, deadline_at(until))


def _identity(block: OciTenancy) -> Identity:
    """Sign in, or use the signer that another task of this process made a moment ago.

    Only for keys that do not change by themselves: the SDK's other signers renew key and key id one after the
    other, which threads must not see.
    """
    how = block.authentication
    if not isinstance(how, ConfigFile | ApiKey | SessionToken):
        return sign_in(block)
    secrets = [value.get_secret_value() for value in vars(how).values() if isinstance(value, SecretStr)]
    digest = hashlib.sha256("\0".join(secrets).encode()).digest()
    return _identities.recall((block.tenancy_id, repr(how), digest), lambda: sign_in(block))


def in_region(block: OciTenancy, region: str) -> OciTenancy:
    """The same tenancy in another region."""
    endpoint = block.region_endpoints.get(region, block.endpoint)
    return block.model_copy(update={"region": region, "endpoint": endpoint})


def tenancy_name(block: OciTenancy) -> str:
    """The name a tenancy has in messages, run names and reports: its block's name."""
    return block._block_document_name or "unsaved-tenancy"  # noqa: SLF001 - Prefect offers no public name


def sign_in(block: OciTenancy) -> Identity:
    """Build the signer that the block describes, and say all that is wrong if that fails.

    Raises:
        TenancyError: Everything that is wrong, in one message.
    """
    how = block.authentication
    match how:
        case ConfigFile():
            return keys.sign_with_config_file(how.path, how.profile, block.tenancy_id)
        case ApiKey():
            return keys.sign_with_api_key(_api_key(how, block.tenancy_id))
        case SessionToken():
            return keys.sign_with_session_token(how.path, how.profile, block.tenancy_id)
        case InstancePrincipal():
            return principals.sign_as_instance(block.tenancy_id, how.federation_endpoint)
        case ResourcePrincipal():
            return principals.sign_as_resource(block.tenancy_id)
        case WorkloadIdentity():
            return principals.sign_as_workload(block.tenancy_id, block.region)


def _api_key(how: ApiKey, tenancy_id: str) -> keys.ApiKey:
    pem = how.private_key.get_secret_value() if how.private_key else _read(how.private_key_file)
    passphrase = how.passphrase.get_secret_value() if how.passphrase else ""
    return keys.ApiKey(tenancy_id, how.user_id, how.fingerprint, pem, passphrase)


def _read(path: Path | None) -> str:
    try:
        return path.expanduser().read_text() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "read the API key", f"{path}", "a readable file on this worker", type(error).__name__
        ) from None
