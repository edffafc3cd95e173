"""Signing as what one is: an instance, a resource, or a service account (OKE workload identity)."""

import os
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from tasks.clients.tenancy.identity import Identity, reason_of, sign_in_error
from tasks.clients.tenancy.sdk import Untyped, oci
from tasks.core.errors import TenancyError

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_WAIT = timedelta(seconds=20)
"""How long the metadata service, the federation service or the cluster's proxy may take."""


def sign_as_instance(
    tenancy_id: str, federation_endpoint: str = "", wait: timedelta = DEFAULT_WAIT
) -> Identity:
    """Make a signer from the instance's certificate (instance principal).

    Args:
        tenancy_id: The tenancy that the instance has to belong to.
        federation_endpoint: Where tokens are had instead of the region's address.
        wait: How long that may take; off OCI the metadata address may swallow packets.

    Raises:
        TenancyError: There is no metadata service, no token, or it is another tenancy's instance.
    """
    kind = "instance principal"
    options = {"federation_endpoint": federation_endpoint} if federation_endpoint else {}
    signer = _built(
        kind,
        lambda: oci().auth.signers.InstancePrincipalsSecurityTokenSigner(**options),
        wait,
        "Does the worker run on an OCI instance, and may it reach 169.254.169.254?",
    )
    _refuse_other_tenancy(kind, signer.tenancy_id, tenancy_id)
    return Identity(tenancy_id, signer)


def sign_as_resource(tenancy_id: str, wait: timedelta = DEFAULT_WAIT) -> Identity:
    """Make a signer from the variables that OCI sets for its own resources (resource principal).

    Raises:
        TenancyError: The variables are absent or do not fit.
    """
    kind = "resource principal"
    problems = _missing_variables(os.environ, ("OCI_RESOURCE_PRINCIPAL_VERSION",))
    if problems:
        raise sign_in_error(kind, [*problems, "the worker is no resource that OCI gave an identity to"])
    hint = "Check the variables OCI_RESOURCE_PRINCIPAL_*."
    signer = _built(kind, oci().auth.signers.get_resource_principals_signer, wait, hint)
    return Identity(tenancy_id, signer)


def sign_as_workload(tenancy_id: str, region: str, wait: timedelta = DEFAULT_WAIT) -> Identity:
    """Make a signer from the pod's service account (OKE workload identity, enhanced clusters only).

    Raises:
        TenancyError: Everything that is missing in the pod, or what the cluster's proxy answered.
    """
    kind = "OKE workload identity"
    problems = _missing_variables(os.environ, ("KUBERNETES_SERVICE_HOST",))
    certificate = Path(
        os.environ.get("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", str(_SERVICE_ACCOUNT / "ca.crt"))
    )
    token = Path(os.environ.get("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", str(_SERVICE_ACCOUNT / "token")))
    problems += [f"{path} is not readable" for path in (certificate, token) if not os.access(path, os.R_OK)]
    if problems:
        raise sign_in_error(kind, [*problems, "the worker does not run in a pod of OKE"])
    signers = oci().auth.signers
    signer = _built(
        kind,
        lambda: signers.get_oke_workload_identity_resource_principal_signer(
            service_account_token_path=str(token), retry_strategy=oci().retry.NoneRetryStrategy()
        ),
        wait,
        "Is the cluster of the enhanced type, and may the pod reach port 12250 of the API server?",
    )
    signer.region = region
    return Identity(tenancy_id, signer)


def _missing_variables(environment: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [f"the variable {name} is not set" for name in names if not environment.get(name)]


def _refuse_other_tenancy(kind: str, found: str, expected: str) -> None:
    if found != expected:
        raise sign_in_error(kind, [f"it belongs to {found} and not to the block's tenancy {expected}"])


def _built(kind: str, build: Callable[[], Untyped], wait: timedelta, hint: str) -> Untyped:
    """Build a signer in a thread of its own, because the SDK asks the network with timeouts of its own."""
    answers: queue.Queue[Untyped | Exception] = queue.Queue()

    def work() -> None:
        try:
            answers.put(build())
        except Exception as error:  # noqa: BLE001 - handed over and raised again by the thread that asked
            _close_answers(error)
            answers.put(error)

    threading.Thread(target=work, daemon=True, name="oci-sign-in").start()
    try:
        found = answers.get(timeout=wait.total_seconds())
    except queue.Empty:
        raise sign_in_error(kind, [f"no answer within {wait.total_seconds():g} s", hint]) from None
    if isinstance(found, TenancyError):
        raise found
    if isinstance(found, Exception):
        raise sign_in_error(kind, [reason_of(found), hint]) from None
    return found


def _close_answers(error: BaseException | None) -> None:
    """Close what the SDK leaves open: it streams the metadata service's answers and never reads a refusal."""
    while error is not None:
        answer = getattr(error, "response", None)
        if answer is not None:
            answer.close()
        error = error.__context__
