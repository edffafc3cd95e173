"""The names that the bundle's parts share."""

PACKAGE = "oci-service-operator"
CHANNEL = "alpha"
VERSION = "1.1.9"
CSV_NAME = f"{PACKAGE}.v{VERSION}"
DEPLOYMENT = f"{PACKAGE}-controller-manager"
IMAGE = f"iad.ocir.io/oracle/{PACKAGE}:{VERSION}"
POD_LABELS = {"control-plane": "controller-manager"}
WEBHOOK_PORT = 9443
HEALTH_PORT = 8081
MANAGER_CONFIG = f"{PACKAGE}-manager-config"
MESH_CONFIG = f"{PACKAGE}-servicemesh-config"
OSOK_CONFIG = f"{PACKAGE}-osokconfig"
WEBHOOK_SERVICE = f"{PACKAGE}-webhook-service"
