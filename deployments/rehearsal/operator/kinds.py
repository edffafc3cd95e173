"""The nine kinds of OCI Service Mesh whose admission the operator decides."""

from dataclasses import dataclass

MESH_GROUP = "servicemesh.oci.oracle.com"
MESH_VERSION = "v1beta1"
INJECTOR_PATH = "/mutate-pod"
INJECTION_LABEL = f"{MESH_GROUP}/sidecar-injection"


@dataclass(frozen=True)
class MeshKind:
    """One validated kind.

    Attributes:
        prefix: What its webhook's name starts with (`mesh` in `mesh-validator.servicemesh…`).
        kind: The kind as the API spells it.
        plural: The resource in URLs and webhook rules.
    """

    prefix: str
    kind: str
    plural: str

    @property
    def singular(self) -> str:
        """The singular resource name, which controller-runtime puts into the webhook's path."""
        return self.kind.lower()

    @property
    def webhook_name(self) -> str:
        """The webhook's name; it ends in `oracle.cloud.com`, unlike the API group."""
        return f"{self.prefix}-validator.servicemesh.oci.oracle.cloud.com"

    @property
    def path(self) -> str:
        """The URL path of the validator."""
        return f"/validate-servicemesh-oci-oracle-com-{MESH_VERSION}-{self.singular}"


MESH_KINDS: tuple[MeshKind, ...] = (
    MeshKind("ap", "AccessPolicy", "accesspolicies"),
    MeshKind("ig", "IngressGateway", "ingressgateways"),
    MeshKind("igd", "IngressGatewayDeployment", "ingressgatewaydeployments"),
    MeshKind("igrt", "IngressGatewayRouteTable", "ingressgatewayroutetables"),
    MeshKind("mesh", "Mesh", "meshes"),
    MeshKind("vd", "VirtualDeployment", "virtualdeployments"),
    MeshKind("vdb", "VirtualDeploymentBinding", "virtualdeploymentbindings"),
    MeshKind("vs", "VirtualService", "virtualservices"),
    MeshKind("vsrt", "VirtualServiceRouteTable", "virtualserviceroutetables"),
)
