"""Facts that meet every requirement, for tests that change one of them."""

from datetime import UTC, datetime, timedelta

from tasks.core.prerequisites.readings import AuthorityFacts, CertificateFacts, KeyFacts, VaultFacts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

VAULT = VaultFacts(
    id="ocid1.vault.oc1..v",
    name="mesh",
    lifecycle_state="ACTIVE",
    vault_type="DEFAULT",
    management_endpoint="https://v-management.kms.eu-frankfurt-1.oraclecloud.com",
)
KEY = KeyFacts(
    id="ocid1.key.oc1..k",
    name="mesh",
    lifecycle_state="ENABLED",
    protection_mode="HSM",
    algorithm="RSA",
    length_bytes=256,
    current_version="ocid1.keyversion.oc1..1",
)
AUTHORITY = AuthorityFacts(
    id="ocid1.certificateauthority.oc1..a",
    name="mesh",
    lifecycle_state="ACTIVE",
    lifecycle_details="",
    config_type="ROOT_CA_GENERATED_INTERNALLY",
    key_id=KEY.id,
    signing_algorithm="SHA256_WITH_RSA",
    leaf_validity="P90D",
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=3650),
    revoked=False,
)
CERTIFICATE = CertificateFacts(
    id="ocid1.certificate.oc1..c",
    name="gateway",
    lifecycle_state="ACTIVE",
    lifecycle_details="",
    profile="TLS_SERVER_OR_CLIENT",
    config_type="ISSUED_BY_INTERNAL_CA",
    issuer_id=AUTHORITY.id,
    common_name="shop.example.com",
    host_names=("shop.example.com", "*.api.example.com"),
    stages=("CURRENT", "LATEST"),
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=89),
    revoked=False,
    renewal=("P60D", "P20D"),
)
