"""Runs the operator: `python -m deployments.rehearsal.operator --listen HOST:PORT --certificates DIR`.

Environment: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT with the account in the usual folder of a pod
(or in the folder that REHEARSAL_SERVICE_ACCOUNT names) say which API server it may ask about Namespaces,
Services and VirtualDeploymentBindings. Without them it decides by the request alone.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from deployments.rehearsal.operator.api import ApiReader
from deployments.rehearsal.operator.certificates import CertificateError, ReloadingCertificate
from deployments.rehearsal.operator.handlers import handlers
from deployments.rehearsal.operator.server import Address, HealthServer, WebhookServer


def main() -> None:
    """Serve until SIGTERM or SIGINT; exit code 1 when there is nothing to serve with."""
    arguments = _parser().parse_args()
    _on_end(lambda: sys.exit(0))
    try:
        certificate = ReloadingCertificate(arguments.certificates)
    except CertificateError as error:
        sys.exit(f"could not start the webhook server: {error}")
    with ExitStack() as servers:
        found = handlers(ApiReader.from_environment())
        webhooks = servers.enter_context(WebhookServer(arguments.listen, found, certificate))
        # After the webhooks listen: who is ready is called at once.
        if arguments.health:
            health = servers.enter_context(HealthServer(arguments.health))
            threading.Thread(target=health.serve_forever, name="health", daemon=True).start()
        # An exception out of a signal would hit whatever is being done, an acceptance for example.
        _on_end(webhooks.end)
        sys.stderr.write(f"serving webhooks on {arguments.listen[0]}:{webhooks.server_address[1]}\n")
        webhooks.serve_until_end()


def _on_end(act: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: act())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="the OSOK manager's webhooks, for the rehearsal")
    parser.add_argument("--listen", type=_address, required=True, help="HOST:PORT of the webhooks (HTTPS)")
    parser.add_argument("--health", type=_address, help="HOST:PORT of /healthz and /readyz (HTTP)")
    parser.add_argument("--certificates", type=Path, required=True, help="folder of tls.crt and tls.key")
    return parser


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError("has to be HOST:PORT")
    return host, int(port)


if __name__ == "__main__":
    main()
