"""Key Management: vaults, and the keys behind each vault's own management address."""

from collections.abc import Callable

from oci.key_management import models as sdk

from deployments.rehearsal.tenancy.answers import Answer, Listing, RefusedError, Request, Route
from deployments.rehearsal.tenancy.models import decode, encode, summary
from deployments.rehearsal.tenancy.store import Store

_PACKAGE = "key_management"
_BASE = "/20180608"


class VaultService:
    """The operations of Key Management that the product uses.

    Args:
        store: The tenancies.
        region: The region that this address speaks for.
        address: Gives the address that vaults name as their management endpoint.
    """

    def __init__(self, store: Store, region: str, address: Callable[[], str]) -> None:
        self._store = store
        self._region = region
        self._address = address

    def routes(self) -> list[Route]:
        """All operations with their paths."""
        return [
            Route("GET", f"{_BASE}/vaults", self._list_vaults),
            Route("GET", f"{_BASE}/vaults/{{id}}", self._get_vault),
            Route("POST", f"{_BASE}/vaults", self._create_vault),
            Route("GET", f"{_BASE}/keys", self._list_keys),
            Route("GET", f"{_BASE}/keys/{{id}}", self._get_key),
            Route("POST", f"{_BASE}/keys", self._create_key),
        ]

    def _list_vaults(self, request: Request) -> Listing:
        compartment = request.required("compartmentId")
        entries = self._store.all(self._store.tenancy_of(request), "Vault", self._region)
        models = [entry.model for entry in entries if entry.model.compartment_id == compartment]
        return Listing([encode(_PACKAGE, summary(_PACKAGE, "VaultSummary", model)) for model in models])

    def _get_vault(self, request: Request) -> Answer:
        entry = self._store.get(self._store.tenancy_of(request), "Vault", request.path["id"])
        return Answer(encode(_PACKAGE, entry.model))

    def _create_vault(self, request: Request) -> Answer:
        def create() -> Answer:
            details = decode(_PACKAGE, "CreateVaultDetails", request.body)
            vault = sdk.Vault(
                id=self._store.new_id("vault", self._region),
                compartment_id=details.compartment_id,
                display_name=details.display_name,
                vault_type=details.vault_type,
                freeform_tags=details.freeform_tags,
                management_endpoint=self._address(),
                crypto_endpoint=self._address(),
                lifecycle_state="CREATING",
                time_created=self._store.clock(),
            )
            self._store.put_settling(self._store.tenancy_of(request), "Vault", vault, "ACTIVE")
            return Answer(encode(_PACKAGE, vault))

        return self._store.once(request, create)

    def _list_keys(self, request: Request) -> Listing:
        compartment = request.required("compartmentId")
        entries = self._store.all(self._store.tenancy_of(request), "Key", self._region)
        models = [
            entry.model
            for entry in entries
            if entry.model.compartment_id == compartment and _passes_filters(entry.model, request)
        ]
        return Listing([encode(_PACKAGE, _key_summary(model)) for model in models])

    def _get_key(self, request: Request) -> Answer:
        entry = self._store.get(self._store.tenancy_of(request), "Key", request.path["id"])
        return Answer(encode(_PACKAGE, entry.model))

    def _create_key(self, request: Request) -> Answer:
        def create() -> Answer:
            tenancy = self._store.tenancy_of(request)
            details = decode(_PACKAGE, "CreateKeyDetails", request.body)
            vaults = self._store.all(tenancy, "Vault", self._region)
            usable = [entry.model.id for entry in vaults if entry.model.lifecycle_state == "ACTIVE"]
            if not usable:
                raise RefusedError(409, "IncorrectState", "there is no active vault")
            key = sdk.Key(
                id=self._store.new_id("key", self._region),
                compartment_id=details.compartment_id,
                display_name=details.display_name,
                key_shape=details.key_shape,
                protection_mode=details.protection_mode or "HSM",
                freeform_tags=details.freeform_tags,
                vault_id=usable[-1],
                current_key_version=self._store.new_id("keyversion", self._region),
                lifecycle_state="CREATING",
                time_created=self._store.clock(),
            )
            self._store.put_settling(tenancy, "Key", key, "ENABLED")
            return Answer(encode(_PACKAGE, key))

        return self._store.once(request, create)


def _passes_filters(key: sdk.Key, request: Request) -> bool:
    actual = {
        "protectionMode": key.protection_mode,
        "algorithm": key.key_shape.algorithm,
        "length": str(key.key_shape.length),
    }
    return all(request.query.get(name, value) == value for name, value in actual.items())


def _key_summary(key: sdk.Key) -> sdk.KeySummary:
    made = summary(_PACKAGE, "KeySummary", key)
    made.algorithm = key.key_shape.algorithm
    return made
