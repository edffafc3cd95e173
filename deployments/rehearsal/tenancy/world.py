"""A tenancy that has what Service Mesh needs, as the rehearsal starts with it."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oci.container_engine import models as container_engine
from oci.identity import models as identity
from oci.key_management import models as key_management

from deployments.rehearsal.tenancy.models import Model
from deployments.rehearsal.tenancy.store import Entry, Store, Tenancy

CONTROL_PLANE = "Allow dynamic-group osok-nodes to {MESH_PROXY_DETAILS_READ} in tenancy"
_OPERATOR_RIGHTS = (
    "manage service-mesh-family",
    "use metrics",
    "use log-content",
    "use tag-namespaces",
    "manage leaf-certificate-family",
    "use certificate-authority-delegate",
    "use certificate-authority-family",
    "manage certificate-authority-associations",
    "inspect vault",
)
_AUTHORITY_CONDITION = (
    "where any {request.principal.type='certificate', request.principal.type='certificateauthority'}"
)


@dataclass(frozen=True)
class Signatory:
    """A user with an API key. `private_key_pem` is a secret of the rehearsal only."""

    tenancy_id: str
    user_id: str
    fingerprint: str
    private_key_pem: str = field(repr=False)

    @property
    def key_id(self) -> str:
        """What requests name their key by."""
        return f"{self.tenancy_id}/{self.user_id}/{self.fingerprint}"

    def write_config(self, folder: Path, region: str) -> Path:
        """Write an OCI configuration file and its key, readable by their owner only."""
        key_file, config_file = folder / "oci_api_key.pem", folder / "oci_config"
        for path, text in (
            (key_file, self.private_key_pem),
            (config_file, self._config_text(key_file, region)),
        ):
            path.touch(mode=0o600)
            path.write_text(text)
        return config_file

    def _config_text(self, key_file: Path, region: str) -> str:
        return (
            f"[DEFAULT]\ntenancy={self.tenancy_id}\nuser={self.user_id}\nfingerprint={self.fingerprint}\n"
            f"region={region}\nkey_file={key_file}\n"
        )


@dataclass(frozen=True)
class Place:
    """Where a world was built: its tenancy, the compartment for Service Mesh, and who may sign."""

    tenancy: Tenancy
    compartment_id: str
    signatory: Signatory


def new_api_key() -> rsa.RSAPrivateKey:
    """A key to sign requests with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def add_user(store: Store, tenancy: Tenancy, name: str, key: rsa.RSAPrivateKey | None = None) -> Signatory:
    """A user with an API key, by default a new one."""
    key = key or new_api_key()
    user_id = store.new_id("user")
    store.put(
        tenancy,
        "User",
        identity.User(id=user_id, compartment_id=tenancy.id, name=name, lifecycle_state="ACTIVE"),
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signatory = Signatory(tenancy.id, user_id, _fingerprint(key.public_key()), pem.decode())
    tenancy.keys[signatory.key_id] = key.public_key()
    return signatory


def _fingerprint(key: rsa.RSAPublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()
    return ":".join(digest[start : start + 2] for start in range(0, 32, 2))


def add_tenancy(store: Store, name: str, regions: list[str], key: rsa.RSAPrivateKey | None = None) -> Place:
    """A tenancy with a compartment `platform/mesh`, a dynamic group of its nodes, and every right."""
    tenancy = store.add_tenancy(name, regions[0])
    tenancy.regions += [
        identity.RegionSubscription(
            region_key=region.upper(), region_name=region, status="READY", is_home_region=region == regions[0]
        )
        for region in regions
    ]
    signatory = add_user(store, tenancy, "operator@example.com", key)
    platform = add_compartment(store, tenancy, tenancy.id, "platform")
    mesh = add_compartment(store, tenancy, platform, "mesh")
    rule = f"ANY {{instance.compartment.id = '{mesh}'}}"
    add_dynamic_group(store, tenancy, "osok-nodes", rule)
    add_policy(store, tenancy, "service-mesh", standard_statements("platform:mesh"))
    return Place(tenancy, mesh, signatory)


def standard_statements(compartment_path: str) -> list[str]:
    """The statements of the operator's documentation for a dynamic group `osok-nodes`."""
    where = f"in compartment {compartment_path}"
    return [
        *(f"Allow dynamic-group osok-nodes to {right} {where}" for right in _OPERATOR_RIGHTS),
        CONTROL_PLANE,
        f"Allow any-user to manage keys {where} {_AUTHORITY_CONDITION}",
        f"Allow any-user to manage object-family {where} {_AUTHORITY_CONDITION}",
    ]


def add_compartment(store: Store, tenancy: Tenancy, parent_id: str, name: str) -> str:
    """A compartment; gives its OCID."""
    identifier = store.new_id("compartment")
    model = identity.Compartment(
        id=identifier, compartment_id=parent_id, name=name, lifecycle_state="ACTIVE", description=""
    )
    store.put(tenancy, "Compartment", model)
    return identifier


def add_policy(store: Store, tenancy: Tenancy, name: str, statements: list[str]) -> Entry:
    """A policy in the root compartment."""
    model = identity.Policy(
        id=store.new_id("policy"),
        compartment_id=tenancy.id,
        name=name,
        statements=statements,
        lifecycle_state="ACTIVE",
    )
    return store.put(tenancy, "Policy", model)


def add_dynamic_group(store: Store, tenancy: Tenancy, name: str, matching_rule: str) -> Entry:
    """A dynamic group of the default identity domain."""
    model = identity.DynamicGroup(
        id=store.new_id("dynamicgroup"),
        compartment_id=tenancy.id,
        name=name,
        matching_rule=matching_rule,
        lifecycle_state="ACTIVE",
    )
    return store.put(tenancy, "DynamicGroup", model)


def add_vault(store: Store, place: Place, region: str, management_endpoint: str) -> Entry:
    """A vault `mesh` that is ready."""
    model = key_management.Vault(
        id=store.new_id("vault", region),
        compartment_id=place.compartment_id,
        display_name="mesh",
        vault_type="DEFAULT",
        lifecycle_state="ACTIVE",
        management_endpoint=management_endpoint,
        crypto_endpoint=management_endpoint,
        time_created=store.clock(),
    )
    return store.put(place.tenancy, "Vault", model)


def add_key(store: Store, place: Place, vault: Entry, **changes: Model) -> Entry:
    """An HSM key `mesh` of RSA 2048 that is ready; `changes` are fields of the SDK's `Key`."""
    region = vault.model.id.split(".")[3]
    fields: dict[str, Model] = {
        "id": store.new_id("key", region),
        "compartment_id": place.compartment_id,
        "display_name": "mesh",
        "vault_id": vault.model.id,
        "protection_mode": "HSM",
        "key_shape": key_management.KeyShape(algorithm="RSA", length=256),
        "current_key_version": store.new_id("keyversion", region),
        "lifecycle_state": "ENABLED",
        "time_created": store.clock(),
    }
    return store.put(place.tenancy, "Key", key_management.Key(**{**fields, **changes}))


def add_cluster(store: Store, place: Place, region: str, name: str, endpoint: str, **changes: Model) -> Entry:
    """An enhanced OKE cluster whose public endpoint is `host:port`; `changes` are fields of the SDK's model.

    Container Engine gives no kubeconfig of it before the entry has its authority (`private`).
    """
    fields: dict[str, Model] = {
        "id": store.new_id("cluster", region),
        "name": name,
        "compartment_id": place.compartment_id,
        "kubernetes_version": "v1.35.4",
        "type": "ENHANCED_CLUSTER",
        "lifecycle_state": "ACTIVE",
        "vcn_id": f"ocid1.vcn.oc1.{region}.rehearsal",
        "endpoint_config": container_engine.ClusterEndpointConfig(
            is_public_ip_enabled=True, subnet_id=f"ocid1.subnet.oc1.{region}.rehearsal"
        ),
        "endpoints": container_engine.ClusterEndpoints(public_endpoint=endpoint, kubernetes=endpoint),
        "freeform_tags": {"env": "rehearsal"},
    }
    return store.put(place.tenancy, "Cluster", container_engine.Cluster(**{**fields, **changes}))


SETTLE = timedelta(milliseconds=300)
"""How long things stay in CREATING in the rehearsal: long enough to be seen, short enough to wait for."""
