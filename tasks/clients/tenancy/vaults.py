"""Key Management: vaults and keys, found by OCID or by name."""

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.lookup import Candidate, Lookup, find
from tasks.clients.tenancy.sdk import Untyped
from tasks.core.prerequisites.readings import KeyFacts, NotSeen, Unread, VaultFacts


def find_vault(calls: TenancyCalls, compartment_id: str, wanted: str) -> VaultFacts | NotSeen | Unread:
    """A vault by OCID or by its display name in a compartment."""

    def read_all() -> list[Candidate]:
        models = calls.pages(Service.VAULTS, "list_vaults", compartment_id)
        return [Candidate(model.id, model.display_name, model.lifecycle_state) for model in models]

    def read_one(identifier: str, twins: int) -> VaultFacts:
        return _vault_facts(calls.get(Service.VAULTS, "get_vault", identifier), twins)

    return find(Lookup("vault", wanted, compartment_id, read_all, read_one))


def find_key(
    calls: TenancyCalls, vault: VaultFacts | NotSeen | Unread, compartment_id: str, wanted: str
) -> KeyFacts | NotSeen | Unread:
    """A key by OCID or by its display name, behind its vault's own address."""
    if not isinstance(vault, VaultFacts) or not vault.management_endpoint:
        return Unread(f"the key {wanted}", "its vault was not read, and keys lie behind the vault's address")
    endpoint = vault.management_endpoint

    def read_all() -> list[Candidate]:
        models = calls.pages(Service.KEYS, "list_keys", compartment_id, endpoint=endpoint)
        return [
            Candidate(model.id, model.display_name, model.lifecycle_state)
            for model in models
            if model.vault_id == vault.id
        ]

    def read_one(identifier: str, twins: int) -> KeyFacts:
        # The list has no length, so every key that is checked is read in full.
        return _key_facts(calls.get(Service.KEYS, "get_key", identifier, endpoint=endpoint), twins)

    return find(Lookup("key", wanted, compartment_id, read_all, read_one))


def _vault_facts(model: Untyped, twins: int) -> VaultFacts:
    return VaultFacts(
        id=model.id,
        name=model.display_name,
        lifecycle_state=model.lifecycle_state,
        vault_type=model.vault_type,
        management_endpoint=model.management_endpoint or "",
        time_of_deletion=model.time_of_deletion,
        twins=twins,
    )


def _key_facts(model: Untyped, twins: int) -> KeyFacts:
    return KeyFacts(
        id=model.id,
        name=model.display_name,
        lifecycle_state=model.lifecycle_state,
        protection_mode=model.protection_mode,
        algorithm=model.key_shape.algorithm,
        length_bytes=model.key_shape.length,
        current_version=model.current_key_version or "",
        time_of_deletion=model.time_of_deletion,
        twins=twins,
    )
