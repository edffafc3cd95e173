"""Small OpenAPI schemas of the twelve kinds: the fields that samples use, with their limits.

Fields that are not listed are kept, so that an object of the real operator passes unchanged.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
_OCID: Schema = _NAME
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 1}
_PORT: Schema = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535}
_LABELS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _object(*required: str, **fields: Schema) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": dict(fields),
        "x-kubernetes-preserve-unknown-fields": True,
    }
    return {**schema, "required": list(required)} if required else schema


def _list(item: Schema, least: int = 0, most: int | None = None) -> Schema:
    limits = {"minItems": least} if least else {}
    return {"type": "array", "items": item, **limits, **({} if most is None else {"maxItems": most})}


def _choice(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


_REF = _object("name", name=_NAME, namespace={"type": "string", "minLength": 1})
_REF_OR_ID = _object(ref=_REF, id=_OCID)
_SECRET = _object(secret=_object(secretName=_TEXT))
_MTLS_MODES = ("DISABLED", "PERMISSIVE", "STRICT")
_TARGET = _object(
    allVirtualServices=_object(),
    virtualService=_REF_OR_ID,
    ingressGateway=_REF_OR_ID,
    externalService=_object(),
)


def _routes(most_destinations: int, destination: Schema) -> Schema:
    route = _object("destinations", destinations=_list(destination, 1, most_destinations))
    return _list(_object(httpRoute=route, tcpRoute=route, tlsPassthroughRoute=route), 1, 15)


_TO_SERVICE = _object("virtualService", virtualService=_REF_OR_ID, port=_PORT)
_TO_DEPLOYMENT = _object(
    "virtualDeployment",
    "weight",
    virtualDeployment=_REF_OR_ID,
    port=_PORT,
    weight={"type": "integer", "minimum": 0, "maximum": 100},
)
_LISTENER = _object(
    "port", "protocol", port=_PORT, protocol=_choice("HTTP", "HTTP2", "GRPC", "TCP", "TLS_PASSTHROUGH")
)
_GATEWAY_LISTENER = _object(
    "port", "protocol", port=_PORT, protocol=_choice("HTTP", "TCP", "TLS_PASSTHROUGH")
)
_GATEWAY_HOST = _object(
    "name", "listeners", name=_NAME, hostnames=_list(_TEXT, 0, 10), listeners=_list(_GATEWAY_LISTENER, 1, 10)
)
_GATEWAY_PORT = _object("port", "protocol", name=_TEXT, port=_PORT, serviceport=_PORT, protocol=_TEXT)

SPECS: Mapping[str, Schema] = {
    "AccessPolicy": _object(
        "compartmentId",
        "mesh",
        "rules",
        compartmentId=_OCID,
        name=_NAME,
        mesh=_REF_OR_ID,
        rules=_list(
            _object(
                "action",
                "source",
                "destination",
                action=_choice("ALLOW"),
                source=_TARGET,
                destination=_TARGET,
            ),
            1,
            50,
        ),
    ),
    "IngressGateway": _object(
        "compartmentId",
        "hosts",
        "mesh",
        compartmentId=_OCID,
        name=_NAME,
        mesh=_REF_OR_ID,
        hosts=_list(_GATEWAY_HOST, 1, 5),
    ),
    "IngressGatewayDeployment": _object(
        "deployment",
        "ingressGateway",
        "ports",
        ingressGateway=_REF_OR_ID,
        deployment=_object(
            "autoscaling", autoscaling=_object("minPods", "maxPods", minPods=_COUNT, maxPods=_COUNT)
        ),
        ports=_list(_GATEWAY_PORT),
        secrets=_list(_object("secretName", secretName=_TEXT)),
    ),
    "IngressGatewayRouteTable": _object(
        "compartmentId",
        "ingressGateway",
        "routeRules",
        compartmentId=_OCID,
        name=_NAME,
        ingressGateway=_REF_OR_ID,
        routeRules=_routes(1, _TO_SERVICE),
    ),
    "Mesh": _object(
        "certificateAuthorities",
        "compartmentId",
        compartmentId=_OCID,
        displayName=_NAME,
        certificateAuthorities=_list(_object("id", id=_OCID), 1, 1),
        mtls=_object("minimum", minimum=_choice(*_MTLS_MODES)),
    ),
    "VirtualDeployment": _object(
        "compartmentId",
        "virtualService",
        compartmentId=_OCID,
        name=_NAME,
        virtualService=_REF_OR_ID,
        listener=_list(_LISTENER, 0, 10),
        serviceDiscovery=_object("type", type=_choice("DNS", "DISABLED"), hostname=_TEXT),
    ),
    "VirtualDeploymentBinding": _object(
        "target",
        "virtualDeployment",
        virtualDeployment=_REF_OR_ID,
        target=_object("service", service=_object("ref", ref=_REF, matchLabels=_LABELS)),
    ),
    "VirtualService": _object(
        "compartmentId",
        "mesh",
        compartmentId=_OCID,
        name=_NAME,
        mesh=_REF_OR_ID,
        hosts=_list(_TEXT),
        mtls=_object("mode", mode=_choice(*_MTLS_MODES)),
    ),
    "VirtualServiceRouteTable": _object(
        "compartmentId",
        "routeRules",
        "virtualService",
        compartmentId=_OCID,
        name=_NAME,
        virtualService=_REF_OR_ID,
        routeRules=_routes(15, _TO_DEPLOYMENT),
    ),
    "AutonomousDatabases": _object(
        compartmentId=_OCID,
        dbName=_TEXT,
        adminPassword=_SECRET,
        isFreeTier=_FLAG,
        wallet=_object(walletName=_TEXT, walletPassword=_SECRET),
    ),
    "MySqlDbSystem": _object(
        compartmentId=_OCID,
        shapeName=_TEXT,
        subnetId=_OCID,
        adminUsername=_SECRET,
        adminPassword=_SECRET,
    ),
    "Stream": _object(
        compartmentId=_OCID,
        name=_TEXT,
        partitions=_COUNT,
        retentionInHours={"type": "integer", "minimum": 24, "maximum": 167},
        streamPoolId=_OCID,
    ),
}
"""The schema of `spec` of each kind."""

STATUS: Schema = _object()
"""The schema of every `status`: whatever the operator writes."""
