"""What an error keeps of the API server's words."""

import json

from tasks.clients.cluster.errors import error_from_response

SERVICES = ("oci-service-operator-webhook-service", "oci-service-operator-controller-manager-service")
NAMES = [
    f"{service}.oci-service-operator-system{suffix}"
    for service in SERVICES
    for suffix in ("", ".svc", ".svc.cluster.local")
]


def test_the_name_that_a_certificate_lacks_is_not_cut_off() -> None:
    path = "validate-servicemesh-oci-oracle-com-v1beta1-virtualserviceroutetable?timeout=10s"
    url = f"https://{NAMES[4]}:443/{path}"
    message = (
        'Internal error occurred: failed calling webhook "vsrt-validator.servicemesh.oci.oracle.cloud.com": '
        f'failed to call webhook: Post "{url}": tls: failed to verify certificate: '
        f"x509: certificate is valid for {', '.join(NAMES)}, not {NAMES[4]}"
    )
    body = json.dumps({"kind": "Status", "message": message}).encode()

    error = error_from_response(500, body, "create Mesh proof", "cluster-0")

    assert f"not {NAMES[4]}" in str(error)


def test_an_endless_message_is_cut() -> None:
    body = json.dumps({"kind": "Status", "message": "x" * 100_000}).encode()

    assert len(str(error_from_response(500, body, "create Mesh proof", "cluster-0"))) < 2000
